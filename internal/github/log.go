package github

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"

	"github.com/sethvargo/go-githubactions"
)

// Group runs f with its log lines folded under the title. The group is closed even if f panics.
func (a *Action) Group(title string, f func() error) error {
	a.issueCommand(&githubactions.Command{Name: "group", Message: title})
	defer a.issueCommand(&githubactions.Command{Name: "endgroup"})
	return f()
}

// Info logs the program's own text. Workflow commands in it are neutralized, since values in the text may be untrusted.
func (a *Action) Info(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clearProgress()
	a.gh.Infof("%s", neutralizeCommands(fmt.Sprintf(format, args...)))
}

// Untrusted logs text from elsewhere, such as the output of an instance, unchanged; workflow commands in it have no effect.
func (a *Action) Untrusted(text string) {
	if text == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clearProgress()
	token := tokenNotIn(text)
	a.issueCommandLocked(&githubactions.Command{Name: "stop-commands", Message: token})
	a.gh.Infof("%s", strings.TrimSuffix(text, "\n"))
	a.issueCommandLocked(&githubactions.Command{Name: token})
}

func (a *Action) issueCommand(command *githubactions.Command) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.issueCommandLocked(command)
}

// issueCommandLocked issues a workflow command, or its readable part outside GitHub. The caller holds a.mu.
func (a *Action) issueCommandLocked(command *githubactions.Command) {
	a.clearProgress()
	if a.gh.Getenv("GITHUB_ACTIONS") == "true" {
		a.gh.IssueCommand(command)
		return
	}
	switch command.Name {
	case "group":
		a.gh.Infof("%s", command.Message)
	case "error", "warning", "notice":
		a.gh.Infof("%s: %s\n%s", command.Name, command.Properties["title"], command.Message)
	}
}

// The runner accepts ::name:: at the start of a line, after white space, and ##[name] anywhere in a line, and ignores
// invisible characters when comparing: https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
var (
	commandStart  = regexp.MustCompile(`(?m)^([\s\pZ\pC\pM]*):(?:[^\PC\n]|\pM)*:`)
	commandAnchor = regexp.MustCompile(`#(?:[^\PC\n]|\pM)*#(?:[^\PC\n]|\pM)*\[`)
)

func neutralizeCommands(text string) string {
	text = strings.ReplaceAll(text, "\r", "\n") // the runner treats both as line ends
	text = commandStart.ReplaceAllString(text, "$1: :")
	return commandAnchor.ReplaceAllString(text, "## [")
}

// tokenNotIn returns 130 random bits as a token that does not occur in text.
func tokenNotIn(text string) string {
	for {
		if token := rand.Text(); !strings.Contains(text, token) {
			return token
		}
	}
}
