package e2e

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
)

// AWS_ROLE_ARN is a secret of the environment, and the caller of deploy.yml has no secrets: inherit, so role-to-assume is
// empty. The job may ask for its token: to grant that is no remedy. https://github.com/actions/runner/issues/1490
func TestCaseARoleThatIsEmptyIsNotAMissingPermission(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	out := s.withOIDC("role-to-assume=").run()
	out.wants("failed")
	out.says("role-to-assume is empty")
	if strings.Contains(out.log, "grant the job permissions: id-token: write") {
		t.Errorf("the job has that permission:\n%s", out.log)
	}
}

// The same for the variables without which nothing begins.
func TestCaseAnEmptyInputNamesWhatMayHaveEmptiedIt(t *testing.T) {
	s := play(t)
	out := s.run("operation=plan", "phases=image", "image=", "instance-ids=", "ecr-repository=")
	out.says("ecr-repository is missing", "secrets: inherit")
}

// One of several machines is off, and the others need the release: https://github.com/serokell/deploy-rs/issues/221
func TestCaseAnInstanceThatIsOffNamesTheWayToGoOnWithoutIt(t *testing.T) {
	s := play(t)
	const off, lost = "i-0000000000000000a", "i-0000000000000000b"
	s.aws.AddInstance(localaws.Instance{ID: off, Stopped: true})
	s.aws.AddInstance(localaws.Instance{ID: lost, PingStatus: "ConnectionLost"})
	s.build("0.1.0-dev")
	for _, id := range []string{off, lost} {
		out := s.run("instance-ids=" + instanceID + "," + id)
		out.wants("failed")
		out.says(id, "without it")
	}
}
