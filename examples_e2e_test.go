//go:build e2e

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runExampleStep runs a script of an example's workflow as the runner does, with the real jq and curl, and returns what it prints.
func runExampleStep(t *testing.T, file, job, name string, env ...string) string {
	t.Helper()
	for _, step := range decodeWorkflow(t, workflows(t)[file]).Jobs[job].Steps {
		if step.Name != name {
			continue
		}
		script := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
		script.Env = append(os.Environ(), env...)
		out, err := script.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	t.Fatalf("%s has no step %q", file, name)
	return ""
}

func TestE2EExampleCommentsThePlan(t *testing.T) {
	const workflow = "examples/batch/.github/workflows/plan.yml"
	dir := t.TempDir()
	gh := "#!/bin/sh\nprintf '%s\\n' \"$*\"\ncat \"$9\"\n"
	if err := os.WriteFile(filepath.Join(dir, "gh"), []byte(gh), 0o755); err != nil {
		t.Fatal(err)
	}
	rows := strings.Repeat(`,{"instance":"i-2","state":"not-started","version":"0.1.0-dev","wave":2}`, 51)
	for name, test := range map[string]struct{ outcome, results, want string }{
		"failed": {"failure", "", "dev cannot be deployed to now: [plan](https://run)\n"},
		"one": {"success", `[{"instance":"i-1","state":"not-started","version":"","digest":"","before":"","wave":1}]`,
			"The next deploy to dev would be `0.1.1-dev` ([plan](https://run)).\n\n| instance | wave | runs now |\n|---|---|---|\n| `i-1` | 1 | nothing |\n"},
		"many": {"success", "[" + rows[1:] + "]", "| `i-2` | 2 | `0.1.0-dev` |\n\nand 1 more\n"},
	} {
		said := runExampleStep(t, workflow, "plan", "Comment", "PATH="+dir+":"+os.Getenv("PATH"), "NUMBER=7", "GITHUB_REPOSITORY=org/atta",
			"OUTCOME="+test.outcome, "RESULTS="+test.results, "RUN=https://run", "VERSION=0.1.1-dev", "RUNNER_TEMP="+dir)
		if !strings.HasPrefix(said, "pr comment 7 --repo org/atta --edit-last --create-if-none --body-file ") || !strings.HasSuffix(said, test.want) {
			t.Errorf("%s: the comment is\n%s", name, said)
		}
	}
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
