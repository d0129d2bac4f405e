package e2e

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/deploy"
)

// createDocuments creates the documents of the service, deploy-atta-dev and so on.
func (s *stage) createDocuments() {
	s.t.Helper()
	for _, use := range []deploy.DocumentUse{deploy.DocumentForDeploy, deploy.DocumentForRollback, deploy.DocumentForStatus} {
		if err := s.aws.CreateDocument(string(use)+"-atta-dev", deploy.Document("atta", use)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// documents are the names of the documents that were sent, in order, each once.
func (s *stage) documents() (names []string) {
	s.t.Helper()
	out, err := ssm.NewFromConfig(s.aws.Config()).ListCommands(s.t.Context(), &ssm.ListCommandsInput{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, command := range slices.Backward(out.Commands) {
		if name := *command.DocumentName; !slices.Contains(names, name) {
			names = append(names, name)
		}
		for parameter, values := range command.Parameters {
			if parameter == "commands" || len(values) != 1 {
				s.t.Errorf("a command has %s=%q", parameter, values)
			}
		}
	}
	return names
}

func TestOperationsRunTheScriptsOfTheirDocuments(t *testing.T) {
	s := playWithScripts(t)
	s.createDocuments()
	const proof = `test "$VERSION:a'b{{ c }}" = '0.1.1-dev:a'"'"'b{{ c }}'`
	s.build("0.1.0-dev")
	s.run("version=0.1.0-dev", "document-name=deploy-atta-dev").wants("success")
	s.build("0.1.1-dev")
	s.run("version=0.1.1-dev", "document-name=deploy-atta-dev", "health-command="+proof).wants("success")
	if s.runs() != "0.1.1-dev" {
		t.Errorf("the instance runs %s", s.runs())
	}
	s.run("operation=rollback", "version=", "image=", "image-tags=none", "document-name=rollback-atta-dev").wants("success")
	if s.runs() != "0.1.0-dev" {
		t.Errorf("the instance runs %s", s.runs())
	}
	s.run("operation=status", "version=", "image=", "fail-on-drift=true", "document-name=status-atta-dev").wants("success")
	if out := s.run("operation=plan", "version=0.1.2-dev", "image=", "document-name=status-atta-dev"); out.code != 0 || out.outputs["status"] != "planned" {
		t.Errorf("a plan is %s:\n%s", out.outputs["status"], out.log)
	}
	if got := s.documents(); !slices.Equal(got, []string{"deploy-atta-dev", "rollback-atta-dev", "status-atta-dev"}) {
		t.Errorf("the documents are %q", got)
	}
}

func TestUnhealthyReleaseRollsBackWithADocument(t *testing.T) {
	s := playWithScripts(t)
	s.createDocuments()
	s.build("0.1.0-dev")
	s.run("version=0.1.0-dev", "document-name=deploy-atta-dev").wants("success")
	s.build("0.1.1-dev")
	s.run("version=0.1.1-dev", "document-name=deploy-atta-dev", "health-command=false").wants("rolled-back")
	if s.runs() != "0.1.0-dev" {
		t.Errorf("the instance runs %s", s.runs())
	}
}

func TestCancelledRunWithADocumentIsCleanedUp(t *testing.T) {
	s := play(t)
	s.createDocuments()
	p := s.busy("document-name=deploy-atta-dev")
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	p.done().wants("cancelled")
	if out := p.after().run(); out.code != 0 || out.outputs["status"] != "cancelled" || !strings.Contains(out.log, ": rolled-back: ") {
		t.Errorf("exit status %d:\n%s", out.code, out.log)
	}
	if got := s.documents(); !slices.Equal(got, []string{"deploy-atta-dev"}) {
		t.Errorf("the documents are %q", got)
	}
}

func TestDocumentWithAnotherContentIsRefused(t *testing.T) {
	s := play(t)
	old := strings.Replace(deploy.Document("atta", deploy.DocumentForDeploy), "set -euo pipefail", "set -eu", 1)
	if err := s.aws.CreateDocument("deploy-atta-dev", old); err != nil {
		t.Fatal(err)
	}
	s.build("0.1.0-dev")
	out := s.run("document-name=deploy-atta-dev")
	out.wants("failed")
	out.says("document-name: the SSM document deploy-atta-dev has another content in version 1", "terraform init -upgrade && terraform apply", "examples/account/setup.sh", "update-document")
	if calls := s.calls(0, append(changing, "ssm:SendCommand")...); calls != nil {
		t.Errorf("it called %v", calls)
	}
	out = s.run("operation=rollback", "version=", "image=", "document-name=rollback-atta-dev")
	out.wants("failed")
	out.says("the SSM document rollback-atta-dev does not exist in region us-east-1")
}

func TestDoctorChecksTheHost(t *testing.T) {
	s := playWithScripts(t)
	s.createDocuments()
	out := s.run("operation=doctor", "version=", "image=", "ecr-repository=", "document-name=status-atta-dev")
	out.wants("success")
	if !strings.Contains(out.log, "ready for a deploy: ") || !strings.Contains(out.log, "credentials of arn:aws:") || !strings.Contains(out.summary, "no problems found, 1 instance ready for a deploy") {
		t.Errorf("the log is\n%s", out.log)
	}
	s.deployed("0.1.0-dev")
	s.run("operation=doctor", "version=", "image=").wants("success")
	if err := os.Chmod(s.host.Path("opt/atta"), 0o777); err != nil {
		t.Fatal(err)
	}
	out = s.run("operation=doctor", "version=", "image=", "ecr-repository=missing", "document-name=deploy-atta-prod")
	out.wants("failed")
	out.says("the repository does not exist", "deploy-atta-prod does not exist", "create-repository: true", "terraform apply")
	out = s.run("operation=doctor", "version=", "image=")
	out.wants("failed")
	out.says("is not owned by root, or others may write to it", "chmod go-w")
}
