package inputs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parser turns the inputs' texts into values and collects what is wrong with them. A getter returns the zero value for
// an input that is unset or wrong.
type parser struct {
	values    map[string]string
	readNames map[string]bool
	problems  []error
}

// rejectValue adds the problem of one value. Values longer than a line are cut.
func (p *parser) rejectValue(name, value, want string) {
	p.problems = append(p.problems, fmt.Errorf("%s %.60q: want %s", name, value, want))
}

// requireInput adds a problem when the input is unset.
func (p *parser) requireInput(name, want string) {
	if p.rawValue(name) == "" {
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
	p.readNames[name] = true
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

// parseList takes newlines or commas between elements, and drops blanks and repetitions.
func (p *parser) parseList(name string, want format) []string {
	return p.splitList(name, want, "\n,")
}

// parseLines takes newlines between elements, and drops blanks and repetitions.
func (p *parser) parseLines(name string, want format) []string {
	return p.splitList(name, want, "\n")
}

func (p *parser) splitList(name string, want format, between string) []string {
	var list []string
	value := p.rawValue(name)
	for element := range strings.FieldsFuncSeq(value, func(c rune) bool { return strings.ContainsRune(between, c) }) {
		element = strings.TrimSpace(element)
		switch {
		case element == "" || slices.Contains(list, element):
		case !want.matches(element):
			p.rejectValue(name, element, want.description)
		default:
			list = append(list, element)
		}
	}
	if value != "" && strings.Trim(value, between+" \t\r") == "" {
		p.rejectValue(name, value, want.description)
	}
	return list
}

func (p *parser) parseBool(name string) bool {
	return p.parseText(name, oneOf("true", "false")) == "true"
}

func (p *parser) parseInt(name string, least, most int) int {
	value := p.rawValue(name)
	if value == "" {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		p.rejectValue(name, value, fmt.Sprintf("a whole number from %d to %d", least, most))
		return 0
	}
	return n
}

// parseDuration takes Go durations of whole seconds, the unit of every limit they end up in.
func (p *parser) parseDuration(name string, least, most time.Duration) time.Duration {
	value := p.rawValue(name)
	if value == "" {
		return 0
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most || d%time.Second != 0 {
		p.rejectValue(name, value, fmt.Sprintf("a duration in whole seconds from %s to %s, as in 90s, 15m or 1h30m",
			formatDuration(least), formatDuration(most)))
		return 0
	}
	return d
}

// parsePath takes a path below the working directory, or an absolute one below the workspace.
func (p *parser) parsePath(name, workspace string) string {
	path := p.parseText(name, printable)
	if path == "" {
		return ""
	}
	path, ok := cleanWorkspacePath(path, workspace)
	if !ok {
		p.rejectValue(name, path, "a path inside the workspace")
		return ""
	}
	return path
}

// cleanWorkspacePath returns the path cleaned, and whether it is a local one or one below the workspace; where not, as it is.
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

// formatDuration writes 24h0m0s as 24h.
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
