package deploy

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

// ReportMark begins the result line of a host script.
const ReportMark = "ATTA_RESULT "

// reportFormat is the version of the result line.
const reportFormat = 1

// ErrNoReport says that an output holds no result line.
var ErrNoReport = errors.New("no result line")

// Report is the result line that a host prints: what it did, and what it runs at that
// moment.
type Report struct {
	Deployment string           `json:"deployment"` // the run that sent the command
	Service    string           `json:"service"`
	Outcome    Outcome          `json:"outcome"`
	Code       ExitCode         `json:"code"`
	Reason     Reason           `json:"reason"`
	Phase      string           `json:"phase"`    // in which it ended, such as PhaseDownload
	Version    string           `json:"version"`  // installed now; empty: none
	Digest     string           `json:"digest"`   // of the image of that version
	Verified   bool             `json:"verified"` // was seen to run or to succeed, now or before
	Evidence   Evidence         `json:"evidence"`
	Before     string           `json:"before"`     // installed when the command began
	Wanted     string           `json:"wanted"`     // that the command asked for; empty: the host does not say
	Generation int64            `json:"generation"` // the highest that the host has accepted; 0: none
	Unit       string           `json:"unit"`       // systemd's ActiveState
	Result     string           `json:"result"`     // systemd's Result of the last run
	Exit       int              `json:"exit"`       // the program's exit status in the last run
	Millis     map[string]int64 `json:"ms"`         // duration of each phase
	Message    string           `json:"message"`    // untrusted text, one line of at most MaxMessage characters

	// What the answer to a status command has in addition.
	About    string   `json:"about"`    // of the deployment asked about: outcome:code, or one of the words beginning with About
	Busy     bool     `json:"busy"`     // a deploy or its recovery is at work
	Previous string   `json:"previous"` // the version to roll back to; empty: none
	Releases []string `json:"releases"` // what it can roll back to: verified versions, newest first, then those only installed; at most MaxReleasesListed
	Held     string   `json:"held"`     // the version asked about, or the previous one, if the host holds it
	Bundle   string   `json:"bundle"`   // SHA-256 of the bundle of that version, in hex
	Image    string   `json:"image"`    // digest of its image
	Proved   bool     `json:"proved"`   // it was seen to run or to succeed there
	Since    int64    `json:"since"`    // when the installed version was first seen healthy, in Unix seconds; 0: never
	Time     int64    `json:"time"`     // the host's clock, in Unix seconds
	Drift    []string `json:"drift"`    // how the host differs from the installed release: unit-file, timer, disabled, image, inactive, container, restarts, last-run, last-deploy, engine, cut-off
}

// Phases returns the phases that a host reports, in their order.
func Phases() []string {
	return []string{"preflight", "room", "pull", "open", "drain", "stop", "switch", "start", "health", "timers", "close", "rollback"}
}

// The forms of a report's fields.
var (
	wordForm       = regexp.MustCompile(`^[a-z-]{1,40}$`)
	identifierForm = regexp.MustCompile(`^[A-Za-z0-9.:-]{0,128}$`)
)

// ParseReport reads the first result line of a host's output. A host is not trusted: every
// field must have its form, and the message becomes one bounded line. The error is
// ErrNoReport when there is none.
func ParseReport(output string) (*Report, error) {
	for line := range strings.Lines(output) {
		text, ok := strings.CutPrefix(line, ReportMark)
		if !ok {
			continue
		}
		var report struct {
			Format int `json:"v"`
			Report
		}
		if err := json.Unmarshal([]byte(text), &report); err != nil {
			return nil, errors.New("unreadable result line: it is not JSON, or a value in it has another type")
		}
		if report.Format != reportFormat {
			return nil, fmt.Errorf("result line of unknown format %d", report.Format)
		}
		if err := report.checkForms(); err != nil {
			return nil, err
		}
		report.Message = BoundMessage(report.Message)
		return &report.Report, nil
	}
	return nil, ErrNoReport
}

// LogEnd returns what a host has printed after its result line, untrusted text: after a failure, the end of its log. It is
// empty without a result line.
func LogEnd(output string) string {
	_, rest, found := strings.Cut("\n"+output, "\n"+ReportMark)
	if !found {
		return ""
	}
	_, log, _ := strings.Cut(rest, "\n")
	return log
}

func (r *Report) checkForms() error {
	words := slices.Concat(slices.Collect(maps.Keys(r.Millis)), r.Drift, []string{string(r.Outcome), r.Phase})
	for _, word := range []string{string(r.Reason), string(r.Evidence)} {
		if word != "" {
			words = append(words, word)
		}
	}
	for _, field := range words {
		if !wordForm.MatchString(field) {
			return fmt.Errorf("malformed result line: %.60q", field)
		}
	}
	for _, field := range slices.Concat(r.Releases, []string{r.Deployment, r.Service, r.Version, r.Digest, r.Before, r.Wanted, r.Unit, r.Result, r.About, r.Previous, r.Held, r.Bundle, r.Image}) {
		if !identifierForm.MatchString(field) {
			return fmt.Errorf("malformed result line: %.60q", field)
		}
	}
	for _, status := range []int{int(r.Code), r.Exit} {
		if status < 0 || status > 255 {
			return fmt.Errorf("malformed result line: exit status %d", status)
		}
	}
	if r.Generation < 0 || r.Generation > MaxGeneration {
		return fmt.Errorf("malformed result line: generation %d", r.Generation)
	}
	return nil
}

// BoundMessage makes a host's text one line of at most MaxMessage characters.
func BoundMessage(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > MaxMessage {
		return string(runes[:MaxMessage-1]) + "…"
	}
	return text
}

// PhaseDownload is the phase in which a host fetches the bundle.
const PhaseDownload = "download"
