package github

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// maxSummary is the size in bytes above which GitHub discards the whole summary of a step:
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits
const maxSummary = 1 << 20

const truncatedNote = "\n\n*The rest is in the log: a summary is limited to 1 MiB.*\n"

// Summary appends Markdown to the step's summary, truncated after a whole line if the summary would become too large.
// Outside GitHub it does nothing.
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

// truncateMarkdown returns markdown with a final newline, truncated after a whole line, with a note, to fit into room bytes.
// It is empty if not even the note fits.
func truncateMarkdown(markdown string, room int) string {
	if !strings.HasSuffix(markdown, "\n") {
		markdown += "\n"
	}
	if len(markdown) <= room {
		return markdown
	}
	if room < len(truncatedNote) {
		return ""
	}
	markdown = markdown[:room-len(truncatedNote)]
	return markdown[:strings.LastIndexByte(markdown, '\n')+1] + truncatedNote
}
