package github_test

import (
	"io"
	"testing"
)

func TestRunURLPointsToTheWorkflowRun(t *testing.T) {
	env := map[string]string{
		"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "org/atta", "GITHUB_RUN_ID": "42", "GITHUB_ACTOR": "mona", "GITHUB_SHA": "c0ffee",
	}
	a := newAction(io.Discard, env)
	if got, want := a.RunURL(), "https://github.com/org/atta/actions/runs/42"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if a.Actor() != "mona" || a.Repository() != "org/atta" || a.Commit() != "c0ffee" {
		t.Errorf("actor %q, repository %q, commit %q", a.Actor(), a.Repository(), a.Commit())
	}
	for name := range env {
		if name == "GITHUB_ACTOR" || name == "GITHUB_SHA" {
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
