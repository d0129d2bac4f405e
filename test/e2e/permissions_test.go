package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/account"
	"github.com/org/atta-deploy-action/localaws/iam"
	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// tolerated are requests that are denied to a role as the module creates it, and why a run goes on.
var tolerated = map[string]string{
	"deploy: s3:GetObject atta-deploy-artifacts/bundles/dev/deploy-bundle-*":   "the key of earlier versions of this action, for roles with a wider policy",
	"rollback: s3:GetObject atta-deploy-artifacts/bundles/dev/deploy-bundle-*": "as for deploy",
	"plan: s3:GetObject atta-deploy-artifacts/bundles/dev/deploy-bundle-*":     "as for deploy",
}

const logGroup = "/deploy/atta-dev"

// operationSettings are the inputs of each operation with the module's documents.
var operationSettings = map[string][]string{
	"deploy":   {"document-name=deploy-atta-dev"},
	"plan":     {"document-name=status-atta-dev", "operation=plan"},
	"rollback": {"document-name=rollback-atta-dev", "operation=rollback", "version=", "image=", "image-tags=none"},
	"status":   {"document-name=status-atta-dev", "operation=status", "version=", "image="},
	"doctor":   {"document-name=status-atta-dev", "operation=doctor", "version=", "image="},
}

// runOperation runs an operation with the module's role and document for it.
func (s *stage) runOperation(operation string, settings ...string) outcome {
	s.t.Helper()
	return s.run(append(slices.Clone(operationSettings[operation]), settings...)...)
}

// interrupt runs an operation that the instance never ends, and cancels it as the runner does.
func (s *stage) interrupt(operation string, settings ...string) outcome {
	s.t.Helper()
	s.setAnswer(func(localaws.Invocation) *localaws.DeliveryFault {
		return &localaws.DeliveryFault{Status: "InProgress"}
	})
	from := len(s.aws.Calls())
	p := s.step(append(slices.Clone(operationSettings[operation]), settings...)...)
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "a command is sent", func() bool { return s.calls(from, "ssm:ListCommand") != nil })
	if err := p.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
	out := p.done()
	s.setAnswer(nil)
	return out
}

// exercise runs an operation to its end, and in the ways that need other permissions: the response to a command is lost, an
// instance fails, the run is cancelled.
func (s *stage) exercise(operation string, settings ...string) {
	s.t.Helper()
	s.aws.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Times: 1, DropReply: true})
	if out := s.runOperation(operation, settings...); out.code != 0 {
		s.t.Errorf("%s with a lost response fails:\n%s", operation, out.log)
	}
	s.setAnswer(func(localaws.Invocation) *localaws.DeliveryFault {
		return &localaws.DeliveryFault{Status: "Failed", Code: 10}
	})
	s.runOperation(operation, settings...)
	s.interrupt(operation, settings...)
}

// runEverything runs every operation with the module's roles, and returns what each role needed.
func runEverything(t *testing.T) map[string][]localaws.Permission {
	t.Helper()
	s := play(t)
	s.createDocuments()
	s.runOperation("status")
	s.runOperation("doctor").wants("success")
	s.build("0.1.0-dev")
	s.runOperation("deploy").wants("success")
	// Of a docker save, a push reads what the layers of the image before contain.
	if err := sample.SaveDockerArchive(filepath.Join(s.workspace, "image.tar"), s.sample("0.1.1-dev"), "atta:0.1.1-dev"); err != nil {
		t.Fatal(err)
	}
	s.runOperation("plan", "version=0.1.0-dev") // whose image has been pushed
	s.exercise("plan", "version=0.1.1-dev")
	s.exercise("deploy", "version=0.1.1-dev", "log-group="+logGroup)
	s.exercise("status")

	const other = "i-0123456789abcdef1" // has no release to roll back to
	s.aws.AddInstance(localaws.Instance{ID: other, Machine: simhost.New("", ""), Tags: map[string]string{"Environment": "dev", "Service": "atta"}})
	s.exercise("rollback", "instance-ids="+instanceID+","+other, "version=0.1.0-dev", "log-group="+logGroup)

	started := newStage(t, true, localaws.Options{})
	defer started.close()
	started.createDocuments()
	started.build("0.1.0-dev")
	started.aws.PutParameter(localaws.Parameter{Name: "/atta/dev/TOKEN", Value: "x"})
	started.runOperation("deploy", "settings-from=/atta/dev", "log-group="+logGroup).wants("success")

	used := map[string][]localaws.Permission{}
	for _, call := range append(s.aws.Calls(), started.aws.Calls()...) {
		used[call.Role] = append(used[call.Role], call.Permissions...)
	}
	return used
}

func TestModuleGrantsWhatOperationsNeedAndNoMore(t *testing.T) {
	used := runEverything(t)
	for _, name := range append(account.Operations, "plan", "instance") {
		grants, role := grantsOf(t, name), "atta-"+name+"-dev"
		for _, p := range used[role] {
			short := shortenGrant(name, iam.Grant{Action: p.Action, Resource: p.Resource})
			if !p.Allowed && !isTolerated(short) {
				t.Errorf("denied: %s", short)
			}
		}
		for _, grant := range grants {
			if strings.HasPrefix(grant.Action, "logs:") { // a policy needs both forms of a group's ARN
				grant.Resource = "*"
			}
			if !slices.ContainsFunc(used[role], func(p localaws.Permission) bool { return grant.Covers(p.Action, p.Resource) }) {
				t.Errorf("no operation needs: %s", shortenGrant(name, grant))
			}
		}
	}
}

// grantsOf returns what a policy of the module grants.
func grantsOf(t *testing.T, name string) (grants []iam.Grant) {
	t.Helper()
	module := moduleFor(map[string]string{"document-name": name + "-atta-dev", "log-group": logGroup})
	role, err := module.Role(localaws.Options{Account: accountID, Region: "us-east-1", Partition: "aws"}, name)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range role.Policies {
		policy, err := iam.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		grants = append(grants, policy.Grants()...)
	}
	return grants
}

// shortenGrant names a grant of a role, without what is the same in every ARN.
func shortenGrant(role string, g iam.Grant) string {
	return role + ": " + g.Action + " " + g.Resource[strings.LastIndex(g.Resource, ":")+1:]
}

func isTolerated(short string) bool {
	for known := range tolerated {
		if prefix, _ := strings.CutSuffix(known, "*"); strings.HasPrefix(short, prefix) {
			return true
		}
	}
	return false
}
