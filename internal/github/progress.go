package github

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progressInterval is how often progress is logged outside a terminal.
const progressInterval = 5 * time.Second

// maxProgress is a width that terminals have.
const maxProgress = 79

// progress is what Progress has shown.
type progress struct {
	terminal io.Writer // nil: lines are logged
	onScreen bool      // the last line of the terminal is progress, without its end
	loggedAt time.Time
	text     string
}

// terminalOf returns the file if it is a terminal on which somebody reads the log; otherwise nil.
func terminalOf(file *os.File, getenv func(string) string) io.Writer {
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 || getenv("GITHUB_ACTIONS") == "true" || getenv("TERM") == "dumb" {
		return nil
	}
	return file
}

// Progress shows how far something has come, in one line of the program's own text. On a terminal, that line replaces the
// previous one, until something else is logged. Elsewhere, what has changed is logged every five seconds.
func (a *Action) Progress(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := &a.progress
	if p.terminal != nil {
		p.onScreen = true
		fmt.Fprint(p.terminal, clearLine, neutralizeCommands(truncateText(text, maxProgress)))
		return
	}
	if p.loggedAt.IsZero() {
		p.loggedAt = time.Now() // what ends within the interval is not logged
	}
	if text == p.text || time.Since(p.loggedAt) < progressInterval {
		return
	}
	p.loggedAt, p.text = time.Now(), text
	a.gh.Infof("%s", neutralizeCommands(text))
}

// clearLine moves the cursor of a terminal to the start of its line, and clears that.
const clearLine = "\r\x1b[K"

// clearProgress makes room for a line of the log. The caller holds a.mu.
func (a *Action) clearProgress() {
	if a.progress.onScreen {
		a.progress.onScreen = false
		fmt.Fprint(a.progress.terminal, clearLine)
	}
}
