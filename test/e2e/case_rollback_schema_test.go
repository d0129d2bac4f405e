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
