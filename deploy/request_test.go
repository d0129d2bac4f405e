package deploy_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/localaws"
)

// shell is a machine that runs each script as the agent does, and keeps it.
type shell struct {
	file    string
	scripts []string
	stdout  []byte
}

func (s *shell) Run(ctx context.Context, script string, env []string) localaws.Exit {
	s.scripts = append(s.scripts, script)
	if err := os.WriteFile(s.file, []byte(script), 0o600); err != nil {
		return localaws.Exit{Code: 1, Stderr: []byte(err.Error())}
	}
	command := exec.CommandContext(ctx, "/bin/bash", s.file)
	command.Env = env
	stdout, err := command.Output()
	if s.stdout = stdout; err != nil {
		return localaws.Exit{Code: 1, Stdout: stdout, Stderr: []byte(err.Error())}
	}
	return localaws.Exit{Stdout: stdout}
}

// echo prints its arguments, each ended by a NUL.
const echo = `(($# == 0)) || printf '%s\0' "$@"`

// arrive is what a script on an instance gets for a health command, which is the one
// parameter that may hold any text; false: it was refused and nothing was sent.
func arrive(t *testing.T, s *localaws.Server, machine *shell, text string) (string, bool) {
	t.Helper()
	machine.scripts, machine.stdout = nil, nil
	request := requests()[0].(deploy.ReleaseRequest)
	request.Policy.HealthCommand = text
	lines, err := deploy.Script(request)
	if err != nil {
		return "", false
	}
	if constant := []string{lines[0], lines[2]}; !slices.Equal(constant, []string{"#!/bin/bash", deploy.Bootstrap}) {
		t.Fatal("the command's text is not constant")
	}
	command := fleet.Command{Lines: []string{lines[0], lines[1], echo}, Timeout: time.Minute}
	run, err := fleet.New(ssm.NewFromConfig(s.Config()), 30*time.Second).Run(t.Context(), command, []fleet.Instance{{ID: "i-1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if status := run.Results[0].Status; status != "Success" || len(machine.scripts) != 1 {
		t.Fatalf("%q: the script ended as %s after %d runs: %s", text, status, len(machine.scripts), run.Results[0].Stderr)
	}
	if strings.Contains(machine.scripts[0], "{{") {
		t.Errorf("%q: SSM would replace a part of\n%s", text, machine.scripts[0])
	}
	for argument := range bytes.SplitSeq(machine.stdout, []byte{0}) {
		if value, ok := strings.CutPrefix(string(argument), "--health-command="); ok {
			return value, true
		}
	}
	return "", true
}

func newShell(t testing.TB) (*localaws.Server, *shell) {
	s, err := localaws.Start(localaws.Options{InvocationDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	machine := &shell{file: filepath.Join(t.TempDir(), "_script.sh")}
	s.AddInstance(localaws.Instance{ID: "i-1", Machine: machine})
	return s, machine
}

var injections = []string{
	" ", "'", `"`, "''", `'"'`, "$(touch /tmp/x)", "`id`", "$HOME", "$$", "${IFS}", "; exit 7", "a;b", "a && b", "a | b", "> /tmp/x",
	"(", ")", "#", "!", "*", "?", "[a-z]", "~", "~root", `\`, `\'`, `a\`, "-n", "--", "-e", "%s", "a b  c", "é", "日本", "\u2028",
	"{ssm:/x}", "{", "}}", "$'\\n'", "EOF", "{{ssm:/x}}", "{{ executionTimeout }}", "a{{", "{{{", "{'{", `{"{`, "{{{{'}}}}",
	`docker inspect --format '{{.State.Health.Status}}' web`,
}

func TestParametersArriveAsData(t *testing.T) {
	s, machine := newShell(t)
	for _, text := range injections {
		if got, sent := arrive(t, s, machine, text); got != text || !sent {
			t.Errorf("%q arrived as %q, sent: %t", text, got, sent)
		}
	}
}

func TestParametersWithControlCharactersAreRefused(t *testing.T) {
	s, machine := newShell(t)
	for _, text := range []string{"\n", "a\nb", "a\r", "\x00", "\t", "\x1b[31m", "\x7f", "\u0085", "\xff"} {
		if got, sent := arrive(t, s, machine, text); sent {
			t.Errorf("%q was sent and arrived as %q", text, got)
		}
	}
}

func FuzzScriptParametersArriveAsData(f *testing.F) {
	for _, injection := range append(injections, "a\nb", "\x00", "\xff") {
		f.Add(injection)
	}
	s, machine := newShell(f)
	f.Fuzz(func(t *testing.T, text string) {
		got, sent := arrive(t, s, machine, text)
		if sent && got != text {
			t.Errorf("%q arrives as %q", text, got)
		}
		if harmless := utf8.RuneCountInString(text) <= deploy.MaxHealthCommand && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl); !sent && harmless {
			t.Errorf("%q is refused", text)
		}
	})
}
