package e2e

import (
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

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
