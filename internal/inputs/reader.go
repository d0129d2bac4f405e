package inputs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reader turns the inputs' texts into values and collects what is wrong with them. A getter returns the zero value for
// an input that is unset or wrong.
type reader struct {
	values   map[string]string
	asked    map[string]bool
	problems []error
}

// reject adds the problem of one value. Values longer than a line are cut.
func (r *reader) reject(name, value, want string) {
	r.problems = append(r.problems, fmt.Errorf("%s %.60q: want %s", name, value, want))
}

// require adds a problem when the input is unset.
func (r *reader) require(name, want string) {
	if r.value(name) == "" {
		r.problems = append(r.problems, fmt.Errorf("%s is missing: want %s", name, want))
	}
}

// forbid adds a problem when the input is set.
func (r *reader) forbid(name, because string) {
	if r.value(name) != "" {
		r.problems = append(r.problems, fmt.Errorf("%s must not be set: %s", name, because))
	}
}

func (r *reader) value(name string) string {
	r.asked[name] = true
	return r.values[name]
}

func (r *reader) text(name string, want shape) string {
	value := r.value(name)
	if value == "" {
		return ""
	}
	if !want.fits(value) {
		r.reject(name, value, want.words)
		return ""
	}
	return value
}

// list takes newlines or commas between elements, and drops blanks and repetitions.
func (r *reader) list(name string, want shape) []string {
	return r.split(name, want, "\n,")
}

// lines takes newlines between elements, and drops blanks and repetitions.
func (r *reader) lines(name string, want shape) []string {
	return r.split(name, want, "\n")
}

func (r *reader) split(name string, want shape, between string) []string {
	var list []string
	value := r.value(name)
	for element := range strings.FieldsFuncSeq(value, func(c rune) bool { return strings.ContainsRune(between, c) }) {
		element = strings.TrimSpace(element)
		switch {
		case element == "" || slices.Contains(list, element):
		case !want.fits(element):
			r.reject(name, element, want.words)
		default:
			list = append(list, element)
		}
	}
	if value != "" && strings.Trim(value, between+" \t\r") == "" {
		r.reject(name, value, want.words)
	}
	return list
}

func (r *reader) boolean(name string) bool {
	return r.text(name, oneOf("true", "false")) == "true"
}

func (r *reader) number(name string, least, most int) int {
	value := r.value(name)
	if value == "" {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		r.reject(name, value, fmt.Sprintf("a whole number from %d to %d", least, most))
		return 0
	}
	return n
}

// duration takes Go durations of whole seconds, the unit of every limit they end up in.
func (r *reader) duration(name string, least, most time.Duration) time.Duration {
	value := r.value(name)
	if value == "" {
		return 0
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most || d%time.Second != 0 {
		r.reject(name, value, fmt.Sprintf("a duration in whole seconds from %s to %s, as in 90s, 15m or 1h30m",
			short(least), short(most)))
		return 0
	}
	return d
}

// path takes a path below the working directory, or an absolute one below the workspace.
func (r *reader) path(name, workspace string) string {
	path := r.text(name, printable)
	if path == "" {
		return ""
	}
	path, ok := inside(path, workspace)
	if !ok {
		r.reject(name, path, "a path inside the workspace")
		return ""
	}
	return path
}

// inside returns the path cleaned, and whether it is a local one or one below the workspace; where not, as it is.
func inside(path, workspace string) (string, bool) {
	local := path
	if filepath.IsAbs(path) && filepath.IsAbs(workspace) {
		local, _ = filepath.Rel(workspace, path)
	}
	if !filepath.IsLocal(local) {
		return path, false
	}
	return filepath.Clean(path), true
}

// short writes 24h0m0s as 24h.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
