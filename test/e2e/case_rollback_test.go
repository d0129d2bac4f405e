package e2e

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// The version to roll back to does not know the newer schema, so its migration step fails. To correct that version is
// no remedy, and the version after it is released already: https://github.com/curie-eng/curie/issues/2296
func TestCaseARollbackToAVersionThatCannotStartAnyMoreIsExplained(t *testing.T) {
	s := playWithScripts(t)
	unit, err := deploy.Files.ReadFile("systemd/daemon.service")
	if err != nil {
		t.Fatal(err)
	}
	newer := t.TempDir() + "/schema"
	serve := []sample.Option{sample.WithCmd("-serve"), sample.WithEnv("PORT", "0")}
	s.file("deploy/systemd/atta.service", strings.Replace(string(unit), "ExecStart=/usr",
		"ExecStartPre=/bin/sh -c 'if test -e "+newer+"; then echo migration 39 is unknown; exit 1; fi'\nExecStart=/usr", 1))
	s.build("0.1.0-dev", serve...)
	s.run("min-healthy-time=1s").wants("success")
	s.file("deploy/systemd/atta.service", string(unit))
	s.build("0.1.1-dev", serve...)
	s.run("version=0.1.1-dev", "min-healthy-time=1s").wants("success")
	write(t, newer, "")
	out := s.run("operation=rollback", "version=", "image=")
	out.wants("rolled-back")
	out.says("migration 39 is unknown", "0.1.1-dev is back")
	if s.runs() != "0.1.1-dev" || !s.isStarted("0.1.1-dev") {
		t.Errorf("the instance runs %s", s.runs())
	}
	if strings.Contains(out.log+out.summary, "release it as 0.1.1-dev") {
		t.Error("the remedy is to release 0.1.1-dev, which is released and runs")
	}
}

// In an incident somebody picks the wrong version: https://github.com/artsy/hokusai/pull/281
func TestCaseARollbackToAVersionThatWasNeverHealthyIsRefused(t *testing.T) {
	s := playWithScripts(t)
	s.deployed("0.1.0-dev")
	s.deployed("0.1.1-dev")
	s.build("0.1.2-dev", sample.WithEnv("ANOTHER", "image"))
	s.run("version=0.1.2-dev", "health-command=exit 3", "health-timeout=12s").wants("rolled-back")
	s.run("version=0.1.2-dev").says("this image is quarantined")
	out := s.run("operation=rollback", "version=0.1.2-dev", "image=", "image-tags=none")
	out.wants("failed")
	out.says("0.1.2-dev was never seen healthy", "0.1.1-dev", "0.1.0-dev")
	if s.runs() != "0.1.1-dev" {
		t.Errorf("the instance runs %s", s.runs())
	}
}

// The instances know what can be rolled back to, and say so to nobody who asks in GitHub.
func TestCaseARollbackToAnUnknownVersionNamesThoseThatAreThere(t *testing.T) {
	s := playWithScripts(t)
	s.deployed("0.1.0-dev")
	s.deployed("0.1.1-dev")
	out := s.run("operation=rollback", "version=0.0.9-dev", "image=")
	out.wants("failed")
	out.says("0.0.9-dev is not among the releases", "0.1.0-dev")
}

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
	_, cause, _ := strings.Cut(out.summary, "**Cause:**")
	cause, _, _ = strings.Cut(cause, "\n")
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
