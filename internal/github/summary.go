package github

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// maxSummary is the size in bytes above which GitHub drops a step's summary whole:
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits
const maxSummary = 1 << 20

const summaryCut = "\n\n*The rest is in the log: a summary holds 1 MiB.*\n"

// Summary adds Markdown to the step's summary. What would make the summary too large is cut after a whole line. Outside
// GitHub it is dropped.
func (a *Action) Summary(markdown string) error {
	file := a.gh.Getenv("GITHUB_STEP_SUMMARY")
	if file == "" {
		return nil
	}
	info, err := os.Stat(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read step summary: %w", err)
	}
	room := maxSummary
	if err == nil {
		room -= int(info.Size())
	}
	if err := appendTo(file, truncateMarkdown(markdown, room)); err != nil {
		return fmt.Errorf("write step summary: %w", err)
	}
	return nil
}

// truncateMarkdown is markdown with a final newline, cut after a line to fit the room in bytes; empty when not even the note fits.
func truncateMarkdown(markdown string, room int) string {
	if !strings.HasSuffix(markdown, "\n") {
		markdown += "\n"
	}
	if len(markdown) <= room {
		return markdown
	}
	if room < len(summaryCut) {
		return ""
	}
	markdown = markdown[:room-len(summaryCut)]
	return markdown[:strings.LastIndexByte(markdown, '\n')+1] + summaryCut
}
