package github_test

import (
	"io"
	"testing"
)

func TestRunURLPointsToTheWorkflowRun(t *testing.T) {
	env := map[string]string{
		"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "org/atta", "GITHUB_RUN_ID": "42", "GITHUB_ACTOR": "mona",
	}
	a := newAction(io.Discard, env)
	if got, want := a.RunURL(), "https://github.com/org/atta/actions/runs/42"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if a.Actor() != "mona" || a.Repository() != "org/atta" {
		t.Errorf("actor %q, repository %q", a.Actor(), a.Repository())
	}
	for name := range env {
		if name == "GITHUB_ACTOR" {
			continue
		}
		value := env[name]
		env[name] = ""
		if got := a.RunURL(); got != "" {
			t.Errorf("without %s it is %s", name, got)
		}
		env[name] = value
	}
}
