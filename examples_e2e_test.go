//go:build e2e

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// runExampleStep runs a script of an example's workflow as the runner does, with the real jq and curl.
func runExampleStep(t *testing.T, file, job, name string, env ...string) {
	t.Helper()
	for _, step := range decodeWorkflow(t, workflows(t)[file]).Jobs[job].Steps {
		if step.Name != name {
			continue
		}
		script := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
		script.Env = append(os.Environ(), env...)
		if out, err := script.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	t.Fatalf("%s has no step %q", file, name)
}

func TestE2EExamplePostsTheOutcome(t *testing.T) {
	var body []byte
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) }))
	defer chat.Close()
	for status, want := range map[string]string{"rolled-back": "rolled-back", "": "failure"} {
		runExampleStep(t, "examples/web/.github/workflows/deploy-prod.yml", "notify", "Post the outcome",
			"WEBHOOK="+chat.URL, "RESULT=failure", "STATUS="+status, `VERSION=1.2.3-prod"}`, "URL=https://github.com/org/web/actions/runs/1")
		var message struct{ Text string }
		if err := json.Unmarshal(body, &message); err != nil || message.Text != `web 1.2.3-prod"} in prod: `+want+" https://github.com/org/web/actions/runs/1" || strings.Contains(string(body), "\n\n") {
			t.Errorf("%v: the chat got %s", err, body)
		}
	}
}
