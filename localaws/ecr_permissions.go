package localaws

import (
	"encoding/json"
	"net/http"
)

// permissionsOf returns the permissions that an operation of the API needs: the one with its name, on each repository that
// it names, or on "*"
// (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html).
func (e *ecr) permissionsOf(r *request) (list []permissionOf) {
	var in struct {
		RepositoryName  string
		RepositoryNames []string
	}
	_ = json.Unmarshal(r.body, &in)
	if in.RepositoryName != "" {
		in.RepositoryNames = []string{in.RepositoryName}
	}
	for _, name := range in.RepositoryNames {
		list = append(list, permissionOf{action: "ecr:" + r.operation, resource: e.arn + name})
	}
	if list == nil {
		list = []permissionOf{{action: "ecr:" + r.operation, resource: "*"}}
	}
	return list
}

// registryActions are the actions of the requests of the registry's protocol: those of the API's operations with the same
// effect, https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
var registryActions = map[string]string{
	"manifests GET":    "ecr:BatchGetImage",
	"manifests HEAD":   "ecr:BatchGetImage",
	"manifests PUT":    "ecr:PutImage",
	"manifests DELETE": "ecr:BatchDeleteImage",
	"blobs HEAD":       "ecr:BatchCheckLayerAvailability",
	"blobs GET":        "ecr:GetDownloadUrlForLayer",
	"blobs POST":       "ecr:InitiateLayerUpload",
	"blobs PATCH":      "ecr:UploadLayerPart",
	"blobs PUT":        "ecr:CompleteLayerUpload",
	"blobs DELETE":     "ecr:BatchDeleteImage",
	"tags GET":         "ecr:ListImages",
}

// authorize checks the permission for a request. ECR answers the start of an upload without one by closing the connection:
// https://github.com/aws/containers-roadmap/issues/1970
func (g *ecrRegistry) authorize(r *request, repository, kind string) error {
	err := r.authorize(permissionOf{action: registryActions[kind+" "+r.Method], resource: g.ecr.arn + repository})
	if err != nil && r.Method == http.MethodPost {
		return errHangUp
	}
	return err
}
