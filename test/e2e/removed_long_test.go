//go:build long

package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/test/tier"
)

// withoutPermission removes an action from a role of the module: of the statement with this Sid, or wherever it is.
func (s *stage) withoutPermission(role, action, sid string) {
	s.changeRole = func(r *localaws.Role) {
		if r.Name != "atta-"+role+"-dev" {
			return
		}
		removed := 0
		for i, text := range r.Policies {
			var policy map[string]any
			if err := json.Unmarshal([]byte(text), &policy); err != nil {
				s.t.Fatal(err)
			}
			for _, statement := range policy["Statement"].([]any) {
				statement := statement.(map[string]any)
				actions, ok := statement["Action"].([]any)
				if !ok {
					actions = []any{statement["Action"]}
				}
				if n := slices.Index(actions, any(action)); n >= 0 && (sid == "" || sid == statement["Sid"]) {
					statement["Action"] = append(slices.Delete(slices.Clone(actions), n, n+1), "none:Left")
					removed++
				}
			}
			changed, err := json.Marshal(policy)
			if err != nil {
				s.t.Fatal(err)
			}
			r.Policies[i] = string(changed)
		}
		if removed == 0 {
			s.t.Errorf("%s has no %s", r.Name, action)
		}
	}
}

// namesPermission checks that a run has failed, with an error that names a permission.
func (o outcome) namesPermission(action string) {
	o.t.Helper()
	errors := errorsIn(o.log)
	if o.code == 0 || len(errors) == 0 || !strings.Contains(errors[len(errors)-1], action) {
		o.t.Errorf("exit status %d, and the error does not name %s:\n%s", o.code, action, o.log)
	}
}

// Not among them are ecr:BatchCheckLayerAvailability and ecr:GetDownloadUrlForLayer of the deploy role, without which a run
// uploads layers that the repository has.
func TestRunWithoutAPermissionNamesIt(t *testing.T) {
	const forAll = "s3:GetObject s3:ListBucket ssm:GetDocument ssm:SendCommand/SendDocument ssm:SendCommand/SendToInstances ssm:DescribeInstanceInformation ssm:ListCommandInvocations "
	for operation, test := range map[string]struct{ permissions, setting string }{
		"deploy": {forAll + "s3:PutObject ecr:GetAuthorizationToken ecr:BatchGetImage ecr:InitiateLayerUpload ecr:UploadLayerPart ecr:CompleteLayerUpload ecr:PutImage",
			"version=0.1.1-dev"},
		"rollback": {forAll + "s3:PutObject", "image="},
		"status":   {forAll, "image="},
	} {
		for permission := range strings.FieldsSeq(test.permissions) {
			if tier.Sampled && rand.IntN(3) > 0 {
				continue // a third of them, another one each time
			}
			t.Run(operation+" "+permission, func(t *testing.T) {
				s := play(t)
				s.createDocuments()
				if permission != "s3:ListBucket" { // which counts where nothing has been deployed
					s.build("0.1.0-dev")
					s.runOperation("deploy").wants("success")
				}
				s.build("0.1.1-dev")
				if operation == "rollback" && permission != "s3:ListBucket" {
					s.runOperation("deploy", "version=0.1.1-dev").wants("success")
				}
				action, sid, _ := strings.Cut(permission, "/")
				s.withoutPermission(operation, action, sid)
				s.runOperation(operation, test.setting).namesPermission(action)
			})
		}
	}
}

func TestFailedRunWithoutAPermissionNamesIt(t *testing.T) {
	for permission, end := range map[string]func(s *stage) outcome{
		"ssm:CancelCommand": func(s *stage) outcome { return s.interrupt("deploy") },
		"ssm:GetCommandInvocation": func(s *stage) outcome {
			s.setAnswer(func(localaws.Invocation) *localaws.DeliveryFault {
				return &localaws.DeliveryFault{Status: "Failed", Code: 10}
			})
			return s.runOperation("deploy")
		},
	} {
		t.Run(permission, func(t *testing.T) {
			s := play(t)
			s.createDocuments()
			s.build("0.1.0-dev")
			s.withoutPermission("deploy", permission, "")
			end(s).namesPermission(permission)
		})
	}
}

func TestInstanceWithoutAPermissionNamesIt(t *testing.T) {
	for _, permission := range []string{"ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "s3:GetObject"} {
		t.Run(permission, func(t *testing.T) {
			s := playWithScripts(t)
			s.createDocuments()
			s.build("0.1.0-dev")
			s.withoutPermission("instance", permission, "")
			s.runOperation("deploy").namesPermission(permission)
		})
	}
}
