package inputs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parser turns the texts of inputs into values and collects the problems. Its parse methods return the zero value for an
// input that is unset or invalid.
type parser struct {
	values    map[string]string
	requested map[string]bool
	problems  []error

	lacksInput bool // a required one is unset
}

// rejectValue adds a problem with one value, which is truncated to fit on a line.
func (p *parser) rejectValue(name, value, want string) {
	p.problems = append(p.problems, fmt.Errorf("%s %.60q: want %s", name, value, want))
}

// requireInput adds a problem when the input is unset.
func (p *parser) requireInput(name, want string) {
	if p.rawValue(name) == "" {
		p.lacksInput = true
		p.problems = append(p.problems, fmt.Errorf("%s is missing: want %s", name, want))
	}
}

// forbidInput adds a problem when the input is set.
func (p *parser) forbidInput(name, because string) {
	if p.rawValue(name) != "" {
		p.problems = append(p.problems, fmt.Errorf("%s must not be set: %s", name, because))
	}
}

func (p *parser) rawValue(name string) string {
	p.requested[name] = true
	return p.values[name]
}

func (p *parser) parseText(name string, want format) string {
	value := p.rawValue(name)
	if value == "" {
		return ""
	}
	if !want.matches(value) {
		p.rejectValue(name, value, want.description)
		return ""
	}
	return value
}

// parseList splits at newlines or commas, and drops blanks and duplicates.
func (p *parser) parseList(name string, want format) []string {
	return p.splitList(name, want, "\n,")
}

// parseLines splits at newlines, and drops blanks and duplicates.
func (p *parser) parseLines(name string, want format) []string {
	return p.splitList(name, want, "\n")
}

func (p *parser) splitList(name string, want format, separators string) []string {
	var list []string
	value := p.rawValue(name)
	for element := range strings.FieldsFuncSeq(value, func(c rune) bool { return strings.ContainsRune(separators, c) }) {
		element = strings.TrimSpace(element)
		switch {
		case element == "" || slices.Contains(list, element):
		case !want.matches(element):
			p.rejectValue(name, element, want.description)
		default:
			list = append(list, element)
		}
	}
	if value != "" && strings.Trim(value, separators+" \t\r") == "" {
		p.rejectValue(name, value, want.description)
	}
	return list
}

func (p *parser) parseBool(name string) bool {
	return p.parseText(name, oneOf("true", "false")) == "true"
}

func (p *parser) parseInt(name string, lowest, highest int) int {
	value := p.rawValue(name)
	if value == "" {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < lowest || n > highest {
		p.rejectValue(name, value, fmt.Sprintf("a whole number from %d to %d", lowest, highest))
		return 0
	}
	return n
}

// parseDuration accepts Go durations in whole seconds, the resolution of every timeout on AWS and on the host.
func (p *parser) parseDuration(name string, lowest, highest time.Duration) time.Duration {
	value := p.rawValue(name)
	if value == "" {
		return 0
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < lowest || d > highest || d%time.Second != 0 {
		p.rejectValue(name, value, fmt.Sprintf("a duration in whole seconds from %s to %s, as in 90s, 15m or 1h30m",
			formatDuration(lowest), formatDuration(highest)))
		return 0
	}
	return d
}

const insideWorkspace = "a path inside the workspace; copy files into it from elsewhere, such as runner.temp"

// parsePath accepts a path under the working directory, or an absolute path under the workspace.
func (p *parser) parsePath(name, workspace string) string {
	path := p.parseText(name, printable)
	if path == "" {
		return ""
	}
	path, ok := cleanWorkspacePath(path, workspace)
	if !ok {
		p.rejectValue(name, path, insideWorkspace)
		return ""
	}
	return path
}

// cleanWorkspacePath cleans a path under the working directory or the workspace. Any other path is returned unchanged, with
// false.
func cleanWorkspacePath(path, workspace string) (string, bool) {
	local := path
	if filepath.IsAbs(path) && filepath.IsAbs(workspace) {
		local, _ = filepath.Rel(workspace, path)
	}
	if !filepath.IsLocal(local) {
		return path, false
	}
	return filepath.Clean(path), true
}

// formatDuration shortens 24h0m0s to 24h.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
