package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Report is the result line that a host prints: what it did, and what it runs at
// that moment, read from the host and not from what was asked of it.
type Report struct {
	Deployment string           `json:"deployment"` // the run that asked
	Service    string           `json:"service"`
	Outcome    string           `json:"outcome"` // deployed, unchanged, refused, rolled-back, rollback-failed, unknown, status, absent
	Code       int              `json:"code"`    // the script's own exit code
	Phase      string           `json:"phase"`   // where it ended
	Version    string           `json:"version"` // that is installed now; empty: none
	Digest     string           `json:"digest"`  // of the image of that version
	Verified   bool             `json:"verified"`
	Before     string           `json:"before"`     // the version installed when the script began
	Wanted     string           `json:"wanted"`     // the version that was asked for; empty: the host does not say
	Generation int64            `json:"generation"` // of the deploy that the host accepted last; 0: none
	Unit       string           `json:"unit"`       // systemd's ActiveState
	Result     string           `json:"result"`     // systemd's Result of the last run
	Exit       int              `json:"exit"`       // the program's exit status in the last run
	Millis     map[string]int64 `json:"ms"`         // time of each phase
	Message    string           `json:"message"`    // foreign text, one line of at most 600 characters

	// What a host adds when it is only asked.
	About    string   `json:"about"`    // what became of the deployment asked about: its outcome and code, as rolled-back:40, under-way or none
	Previous string   `json:"previous"` // the version that was seen healthy before; empty: none
	Releases []string `json:"releases"` // the versions that were seen healthy there, the newest first
	Since    int64    `json:"since"`    // when the installed version was first seen healthy, Unix time in seconds; 0: never
	Time     int64    `json:"time"`     // by the host's own clock, Unix time in seconds
	Drift    []string `json:"drift"`    // in what the host is not as the installed release says: unit-file, timer, image, inactive, container
}

const reportMark = "ATTA_RESULT "

var (
	errNoReport = errors.New("no result line")
	word        = regexp.MustCompile(`^[a-z-]{1,40}$`)
	optional    = regexp.MustCompile(`^[A-Za-z0-9.:-]{0,128}$`)
)

// parseReport reads the first result line of a host's output. A host's text is not
// trusted: every field but the message has to be of its form.
func parseReport(output string) (*Report, error) {
	for line := range strings.Lines(output) {
		text, ok := strings.CutPrefix(line, reportMark)
		if !ok {
			continue
		}
		var report struct {
			Format int `json:"v"`
			Report
		}
		if err := json.Unmarshal([]byte(text), &report); err != nil {
			return nil, fmt.Errorf("an unreadable result line: %w", err)
		}
		if report.Format != 1 {
			return nil, fmt.Errorf("a result line of an unknown format, %d", report.Format)
		}
		if err := report.check(); err != nil {
			return nil, err
		}
		report.Message = oneLine(report.Message)
		return &report.Report, nil
	}
	return nil, errNoReport
}

func (r *Report) check() error {
	for _, field := range slices.Concat(slices.Collect(maps.Keys(r.Millis)), r.Drift, []string{r.Outcome, r.Phase}) {
		if !word.MatchString(field) {
			return fmt.Errorf("an odd result line: %.60q", field)
		}
	}
	for _, field := range slices.Concat(r.Releases, []string{r.Deployment, r.Service, r.Version, r.Digest, r.Before, r.Wanted, r.Unit, r.Result, r.About, r.Previous}) {
		if !optional.MatchString(field) {
			return fmt.Errorf("an odd result line: %.60q", field)
		}
	}
	for _, status := range []int{r.Code, r.Exit} {
		if status < 0 || status > 255 {
			return fmt.Errorf("an odd result line: exit status %d", status)
		}
	}
	if r.Generation < 0 || r.Generation > 1_000_000_000 {
		return fmt.Errorf("an odd result line: generation %d", r.Generation)
	}
	return nil
}

const maxMessage = 600

func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxMessage {
		return string(runes[:maxMessage-1]) + "…"
	}
	return text
}
