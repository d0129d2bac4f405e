package e2e

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// A migration in a step before the program fails. No port is taken, and to start the run again fails in the same way:
// https://github.com/chanzuckerberg/single-cell-data-portal/issues/2367
func TestCaseAMigrationBeforeTheProgramThatFailsIsExplained(t *testing.T) {
	s := playWithScripts(t)
	unit, err := deploy.Files.ReadFile("systemd/daemon.service")
	if err != nil {
		t.Fatal(err)
	}
	serve := []sample.Option{sample.WithCmd("-serve"), sample.WithEnv("PORT", "0")}
	s.file("deploy/systemd/atta.service", string(unit))
	s.build("0.1.0-dev", serve...)
	s.run("min-healthy-time=1s").wants("success")
	s.file("deploy/systemd/atta.service", strings.Replace(string(unit), "ExecStart=/usr",
		"ExecStartPre=/usr/bin/docker run --rm --pull=never --name=%N-migrate --env-file=/opt/%N/.env ${IMAGE} -exit 3\nExecStart=/usr", 1))
	s.build("0.1.1-dev", serve...)
	out := s.run("version=0.1.1-dev", "min-healthy-time=1s")
	out.wants("rolled-back")
	out.says("ExecStartPre")
	for _, wrong := range []string{"a port that is taken", "Then start the run again"} {
		if strings.Contains(out.log, wrong) {
			t.Errorf("the remedy of another cause is shown: %q", wrong)
		}
	}
	cause, _, _ := strings.Cut(out.summary[strings.Index(out.summary, "**Cause:**"):], "\n")
	if !strings.Contains(cause, "done, exit 3") && !strings.Contains(cause, "status 3") {
		t.Errorf("the cause names neither the step's last line nor its status: %s", cause)
	}
}

// What is wrong in the bundle cannot be corrected in the same version, as the remedy says.
func TestCaseTheRemedyForAWrongOptionCanBeFollowed(t *testing.T) {
	s := playWithScripts(t)
	s.file("deploy/docker.env", "DOCKER_ARGS=--volume=/a:b\n")
	s.build("0.1.0-dev")
	out := s.run()
	out.wants("rolled-back")
	out.says("if it is in deploy/, such as an option that Docker does not take, release it as 0.1.1-dev")
	s.file("deploy/docker.env", "DOCKER_ARGS=\n")
	s.build("0.1.1-dev")
	s.run("version=0.1.1-dev").wants("success")
}
