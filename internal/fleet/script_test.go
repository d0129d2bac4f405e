package fleet_test

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

	"github.com/google/go-cmp/cmp"

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

// arrive is what a script on an instance gets for parameters; false: they were refused
// and nothing was sent.
func arrive(t *testing.T, s *localaws.Server, machine *shell, parameters ...string) ([]string, bool) {
	t.Helper()
	machine.scripts, machine.stdout = nil, nil
	script := fleet.Script{Text: echo, Parameters: parameters, Timeout: time.Minute}
	run, err := reach(s).Run(t.Context(), script, []fleet.Instance{{ID: "i-1"}}, nil)
	if err != nil {
		if id(run) != "" || len(machine.scripts) != 0 {
			t.Errorf("%q was refused after it was sent: %v", parameters, err)
		}
		return nil, false
	}
	if status := run.Results[0].Status; status != "Success" || len(machine.scripts) != 1 {
		t.Fatalf("%q: the script ended as %s after %d runs: %s", parameters, status, len(machine.scripts), run.Results[0].Log)
	}
	lines := strings.SplitAfter(machine.scripts[0], "\n")
	if strings.Contains(machine.scripts[0], "{{") {
		t.Errorf("%q: SSM would replace a part of\n%s", parameters, machine.scripts[0])
	}
	if constant := slices.Delete(slices.Clone(lines), 1, 2); strings.Join(constant, "") != "#!/bin/bash\n"+echo+"\n" {
		t.Errorf("%q: the command is\n%s", parameters, machine.scripts[0])
	}
	list := []string{}
	for argument := range bytes.SplitAfterSeq(machine.stdout, []byte{0}) {
		if len(argument) > 0 {
			list = append(list, string(bytes.TrimSuffix(argument, []byte{0})))
		}
	}
	return list, true
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
	"", " ", "'", `"`, "''", `'"'`, "$(touch /tmp/x)", "`id`", "$HOME", "$$", "${IFS}", "; exit 7", "a;b", "a && b", "a | b", "> /tmp/x",
	"(", ")", "#", "!", "*", "?", "[a-z]", "~", "~root", `\`, `\'`, `a\`, "-n", "--", "-e", "%s", "a b  c", "é", "日本", "\u2028",
	"{ssm:/x}", "{", "}}", "$'\\n'", "EOF", "{{ssm:/x}}", "{{ executionTimeout }}", "a{{", "{{{", "{'{", `{"{`, "{{{{'}}}}",
	`docker inspect --format '{{.State.Health.Status}}' web`,
}

func TestParametersArriveAsData(t *testing.T) {
	s, machine := newShell(t)
	for _, parameters := range [][]string{injections, nil, {""}, {"", ""}, {"--service=atta", "x y"}} {
		got, sent := arrive(t, s, machine, parameters...)
		if diff := cmp.Diff(append([]string{}, parameters...), got); diff != "" || !sent {
			t.Errorf("sent: %t\n%s", sent, diff)
		}
	}
}

func TestParametersThatACommandMustNotHoldAreRefused(t *testing.T) {
	s, machine := newShell(t)
	for _, parameter := range []string{"\n", "a\nb", "a\r", "\x00", "\t", "\x1b[31m", "\x7f", "\u0085", "\xff"} {
		if got, sent := arrive(t, s, machine, "deploy", parameter); sent {
			t.Errorf("%q was sent and arrived as %q", parameter, got)
		}
	}
}

func FuzzScriptParametersArriveAsData(f *testing.F) {
	for _, injection := range append(injections, "a\nb", "\x00", "\xff") {
		f.Add(injection, "b")
		f.Add("a", injection)
	}
	s, machine := newShell(f)
	f.Fuzz(func(t *testing.T, first, second string) {
		got, sent := arrive(t, s, machine, first, second)
		if sent && !slices.Equal(got, []string{first, second}) {
			t.Errorf("%q and %q arrive as %q", first, second, got)
		}
		harmless := func(text string) bool {
			return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
		}
		if !sent && harmless(first) && harmless(second) {
			t.Errorf("%q and %q are refused", first, second)
		}
	})
}
