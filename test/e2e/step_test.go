package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
)

// outcome is what is left of a step.
type outcome struct {
	t       *testing.T
	code    int
	log     string
	outputs map[string]string
	summary string
}

// step is the action as the runner starts it: its environment is all it gets. The
// settings are inputs, name=value, or variables, NAME=value, and go before the
// usual ones; GitHub's files are read by done.
type step struct {
	*exec.Cmd
	stage                   *stage
	settings                []string
	log                     bytes.Buffer
	outputs, summary, state string
}

// step prepares a deploy of version 0.1.0-dev to the one instance.
func (s *stage) step(settings ...string) *step {
	s.t.Helper()
	files := s.t.TempDir()
	p := &step{Cmd: exec.Command("atta-deploy-action"), stage: s, settings: settings, outputs: filepath.Join(files, "outputs"), summary: filepath.Join(files, "summary"), state: filepath.Join(files, "state")}
	write(s.t, p.outputs, "")
	write(s.t, p.summary, "")
	write(s.t, p.state, "")
	p.Dir, p.Stdout, p.Stderr = s.workspace, &p.log, &p.log
	p.Env = []string{
		"GORACE=atexit_sleep_ms=0", // else a program built with -race ends a second late
		"PATH=" + files, "DOCKER_HOST=tcp://127.0.0.1:1",
		"GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=org/atta", "GITHUB_REF_TYPE=branch", "GITHUB_REF_NAME=main", "GITHUB_WORKSPACE=" + s.workspace,
		"GITHUB_OUTPUT=" + p.outputs, "GITHUB_STEP_SUMMARY=" + p.summary, "GITHUB_STATE=" + p.state,
	}
	usual := []string{
		"environment=dev", "version=0.1.0-dev", "image=image.tar", "aws-region=us-east-1", "instance-ids=" + instanceID,
		"ecr-registry=" + s.aws.RegistryHost(), "ecr-repository=atta", "deploy-bucket=" + bucket,
	}
	given := map[string]string{}
	for _, setting := range append(usual, settings...) {
		name, value, _ := strings.Cut(setting, "=")
		given[name] = value
		if name == strings.ToLower(name) {
			name = "INPUT_" + strings.ToUpper(name)
		}
		p.Env = append(p.Env, name+"="+value)
	}
	p.Env = append(s.roleEnv(given), p.Env...)
	return p
}

// after is the step that the runner starts at the end of the job, with the inputs of this
// one and what it has saved: https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax#runspost-entrypoint
func (p *step) after() *step {
	p.stage.t.Helper()
	post := p.stage.step(p.settings...)
	cmd := exec.Command("atta-deploy-action-post")
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = post.Dir, post.Stdout, post.Stderr, post.Env
	post.Cmd = cmd
	for name, value := range readOutputs(p.stage.t, p.state) {
		post.Env = append(post.Env, "STATE_"+name+"="+value)
	}
	return post
}

// withoutKeys takes the credentials away.
func (p *step) withoutKeys() *step {
	return p.without("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
}

// without takes variables away.
func (p *step) without(names ...string) *step {
	p.Env = slices.DeleteFunc(p.Env, func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(names, name)
	})
	return p
}

// run runs a step to its end.
func (s *stage) run(settings ...string) outcome {
	s.t.Helper()
	return s.step(settings...).run()
}

func (p *step) run() outcome {
	p.stage.t.Helper()
	if err := p.Start(); err != nil {
		p.stage.t.Fatal(err)
	}
	return p.done()
}

// done waits for a step and reads what it has left.
func (p *step) done() outcome {
	t := p.stage.t
	t.Helper()
	var exit *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	summary, err := os.ReadFile(p.summary)
	if err != nil {
		t.Fatal(err)
	}
	out := outcome{t: t, code: p.ProcessState.ExitCode(), log: p.log.String(), outputs: readOutputs(t, p.outputs), summary: string(summary)}
	for name := range out.outputs {
		if !slices.ContainsFunc(promised(t).Outputs, func(o inputs.Output) bool { return o.Name == name }) {
			t.Errorf("output %s is not in action.yml", name)
		}
	}
	for _, sign := range []string{"panic:", "goroutine ", "DATA RACE"} {
		if strings.Contains(out.log, sign) {
			t.Errorf("%q in the log:\n%s", sign, out.log)
		}
	}
	return out
}

// wants checks the end of a step in each place where it can be seen.
func (o outcome) wants(status string) {
	o.t.Helper()
	code := 1
	if status == "success" {
		code = 0
	}
	if o.code != code || o.outputs["status"] != status {
		o.t.Fatalf("exit status %d and status %q, want %d and %q\n%s", o.code, o.outputs["status"], code, status, o.log)
	}
	verdict, _, _ := strings.Cut(o.summary, "\n")
	words := map[string]string{
		"rolled-back": " was rolled back in dev: ", "rollback-failed": " failed in dev, and could not be rolled back", "unknown": " ended in dev with an unknown result", "cancelled": " was cancelled in dev", "failed": "❌ ",
	}
	if good := strings.HasPrefix(verdict, "## ✅ "); good != (code == 0) || !strings.Contains(verdict, words[status]) {
		o.t.Errorf("the summary of %s begins with %q", status, verdict)
	}
}

// says checks that the one error of the run holds each of the texts.
func (o outcome) says(texts ...string) {
	o.t.Helper()
	annotations := errorsIn(o.log)
	if len(annotations) == 0 {
		o.t.Fatalf("no error in the log:\n%s", o.log)
	}
	last := annotations[len(annotations)-1]
	for _, text := range texts {
		if !strings.Contains(last, text) {
			o.t.Errorf("no %q in the error:\n%s", text, last)
		}
	}
}
