package github_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/atta-deploy-action/internal/github"
)

// newAction returns an action that runs on GitHub with only the given variables.
func newAction(log io.Writer, env map[string]string) *github.Action {
	return github.New(githubactions.New(
		githubactions.WithWriter(log),
		githubactions.WithGetenv(func(name string) string {
			if value, ok := env[name]; ok || name != "GITHUB_ACTIONS" {
				return value
			}
			return "true"
		}),
	))
}

var (
	command       = regexp.MustCompile(`^::([^: ]+)[^:]*::(.*)$`)
	legacyCommand = regexp.MustCompile(`##\[([^\] ]+)[^\]]*\](.*)$`)
)

// commands returns the commands that the runner would execute from a log, as name or name=data. Like the runner, it splits
// lines, ignores white space and invisible characters, and obeys stop-commands.
func commands(log string) (taken []string) {
	stopped := ""
	for line := range strings.FieldsFuncSeq(log, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = strings.Map(func(r rune) rune {
			if unicode.In(r, unicode.C, unicode.M) {
				return -1
			}
			return r
		}, line)
		match := command.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			match = legacyCommand.FindStringSubmatch(line)
		}
		switch {
		case match == nil:
		case stopped != "":
			if match[1] == stopped {
				stopped = ""
			}
		case match[1] == "stop-commands":
			stopped = match[2]
		default:
			taken = append(taken, strings.TrimSuffix(match[1]+"="+match[2], "="))
		}
	}
	if stopped != "" {
		taken = append(taken, "commands are still stopped")
	}
	return taken
}

// readCommandFile reads GITHUB_OUTPUT or GITHUB_STATE as the runner does.
func readCommandFile(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for len(lines) > 0 {
		name, delimiter, ok := strings.Cut(lines[0], "<<")
		end := slices.Index(lines[1:], delimiter)
		if !ok || end < 0 {
			t.Fatalf("the runner cannot read %q in\n%s", lines[0], text)
		}
		values[name] = strings.Join(lines[1:1+end], "\n")
		lines = lines[2+end:]
	}
	return values
}

func commandFile(t *testing.T) string { return filepath.Join(t.TempDir(), "commands") }

// hostile contains workflow commands that a naive program would issue.
var hostile = []string{
	"::error::x", "  \t::add-mask::x", "a\n::set-output name=a::b", "a\r::error::x", "\u00a0::error::x", "\ufeff::error::x",
	":\u200b:error::x", "\x00::error::x", "##[error]x", "text ##[add-mask]x", "#\u200d#[error]x", "::stop-commands::x",
	"::endgroup::", "::group::x\n", "%0A::error::x", "a\n\n::warning file=a,line=1::x", "\n", "::", "\u0301::error::x",
}

func TestTheEmulatedRunnerObeysCommands(t *testing.T) {
	log := "::group::a b\nx ##[warning]y\n\u200b::error file=a::z\n::stop-commands::t\n::error::no\n::t::\n::endgroup::\n"
	if got, want := fmt.Sprint(commands(log)), "[group=a b warning=y error=z endgroup]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
