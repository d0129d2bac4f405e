package github

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sethvargo/go-githubactions"
)

// The runner keeps ten annotations of each kind per step, and 4,096 characters of each:
// https://github.com/actions/runner/blob/main/src/Runner.Worker/ExecutionContext.cs
// Of the ten errors, one is reserved for Fail and one for the runner's own "exit code 1".
const (
	maxErrors   = 8
	maxWarnings = 10
	maxNotices  = 10
	maxMessage  = 4096 // bytes, at most as many characters
	maxTitle    = 255
)

// Fail adds the error annotation with the cause of the failed run. Call it once, last.
func (a *Action) Fail(title, format string, args ...any) {
	a.addAnnotation("error", maxErrors+1, title, fmt.Sprintf(format, args...))
}

// Error adds an error annotation for one failed part, such as an instance. After eight it only logs.
func (a *Action) Error(title, format string, args ...any) {
	a.addAnnotation("error", maxErrors, title, fmt.Sprintf(format, args...))
}

// Warning adds an annotation about something that needs attention. After ten it only logs.
func (a *Action) Warning(title, format string, args ...any) {
	a.addAnnotation("warning", maxWarnings, title, fmt.Sprintf(format, args...))
}

// Notice adds an annotation for information. After ten it only logs.
func (a *Action) Notice(title, format string, args ...any) {
	a.addAnnotation("notice", maxNotices, title, fmt.Sprintf(format, args...))
}

func (a *Action) addAnnotation(kind string, limit int, title, message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.issued[kind] >= limit {
		a.clearProgress()
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

// truncateText shortens text to at most limit bytes, including an ellipsis, without splitting a character.
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
