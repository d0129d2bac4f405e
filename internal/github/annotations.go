package github

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sethvargo/go-githubactions"
)

// The runner keeps ten annotations of a kind for a step, and 4,096 characters of each:
// https://github.com/actions/runner/blob/main/src/Runner.Worker/ExecutionContext.cs
// Of the ten errors one is left for Fail, and one for the runner's own "exit code 1".
const (
	maxErrors   = 8
	maxWarnings = 10
	maxNotices  = 10
	maxMessage  = 4096 // bytes, at most as many characters
	maxTitle    = 255
)

// Fail annotates the run with why it failed. It is meant for one error, the last.
func (a *Action) Fail(title, format string, args ...any) {
	a.addAnnotation("error", maxErrors+1, title, fmt.Sprintf(format, args...))
}

// Error annotates the run with a part that failed, such as one instance: the first eight, and further ones are logged.
func (a *Action) Error(title, format string, args ...any) {
	a.addAnnotation("error", maxErrors, title, fmt.Sprintf(format, args...))
}

// Warning annotates the run with something to look after: the first ten, and further ones are logged.
func (a *Action) Warning(title, format string, args ...any) {
	a.addAnnotation("warning", maxWarnings, title, fmt.Sprintf(format, args...))
}

// Notice annotates the run with something to know: the first ten, and further ones are logged.
func (a *Action) Notice(title, format string, args ...any) {
	a.addAnnotation("notice", maxNotices, title, fmt.Sprintf(format, args...))
}

func (a *Action) addAnnotation(kind string, limit int, title, message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.issued[kind] >= limit {
		a.gh.Infof("%s", neutralizeCommands(kind+": "+title+": "+message))
		return
	}
	a.issued[kind]++
	a.issueCommandLocked(&githubactions.Command{
		Name:       kind,
		Message:    truncateText(message, maxMessage),
		Properties: githubactions.CommandProperties{"title": truncateText(title, maxTitle)},
	})
}

// truncateText shortens text to limit bytes at most, an ellipsis included, without splitting a character.
func truncateText(text string, limit int) string {
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	if len(text) <= limit {
		return text
	}
	end := limit - len("…")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
