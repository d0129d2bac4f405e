package localaws

import (
	"encoding/json"
	"strings"
)

// permissionsOf returns the permissions that an operation needs. Only documents and instances are resources of a permission;
// operations on commands know none
// (https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html).
func (a *ssm) permissionsOf(r *request) []permissionOf {
	var in struct {
		Name, DocumentName, Path string
		InstanceIDs              []string
	}
	_ = json.Unmarshal(r.body, &in)
	action := "ssm:" + r.operation
	switch {
	case r.operation == "SendCommand":
		list := []permissionOf{{action: action, resource: a.documentARN(in.DocumentName)}}
		for _, id := range in.InstanceIDs {
			list = append(list, a.permissionToSend(id))
		}
		return list
	case strings.Contains(r.operation, "Document"):
		return []permissionOf{{action: action, resource: a.documentARN(in.Name)}}
	case strings.Contains(r.operation, "Parameter"):
		return []permissionOf{{action: action, resource: a.arn("ssm") + "parameter/" + strings.TrimPrefix(in.Name+in.Path, "/")}}
	}
	return []permissionOf{{action: action, resource: "*"}}
}

// permissionToSend is the permission to send a command to an instance, whose tags are condition keys
// (https://docs.aws.amazon.com/systems-manager/latest/userguide/run-command-setting-up.html).
func (a *ssm) permissionToSend(id string) permissionOf {
	needed := permissionOf{action: "ssm:SendCommand", resource: a.arn("ec2") + "instance/" + id, keys: map[string]string{}}
	if strings.HasPrefix(id, "mi-") {
		needed.resource = a.arn("ssm") + "managed-instance/" + id
	}
	for key, value := range a.fleet.tagsOf(id) {
		needed.keys["ssm:resourcetag/"+strings.ToLower(key)] = value
	}
	return needed
}

func (a *ssm) arn(service string) string {
	return "arn:" + a.options.Partition + ":" + service + ":" + a.options.Region + ":" + a.options.Account + ":"
}

// documentARN returns the ARN of a document. Those of AWS belong to no account.
func (a *ssm) documentARN(name string) string {
	if reservedName.MatchString(name) {
		return "arn:" + a.options.Partition + ":ssm:" + a.options.Region + "::document/" + name
	}
	return a.arn("ssm") + "document/" + name
}
