package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// hint is a known cause of a failure and what to do about it: a row of docs/troubleshooting.md.
type hint struct {
	sign   string // what people see, as the page shows it: messages, a status or a reason
	remedy string // in Markdown, with links as on the page, and {names} of values
	more   string // that only the page says

	// What the hint is for: an error, whose values the remedy may name, or a host. Without
	// either, it is only on the page, since the message itself says what to do.
	onError func(error) values
	onHost  func(*rollout.Host) bool
	named   bool // the remedy is preceded by the hosts that it is for, if others have other causes

	// inRun returns the remedy for a host in a run in which others more instances had the release, or "" to
	// keep the remedy above. It may be nil.
	inRun func(result rollout.Result, host *rollout.Host, others int) string
}

// values are what a remedy may name; not nil.
type values map[string]string

// Hints returns hints on what to do about an error, if there are any, as plain text.
func Hints(result rollout.Result, err error) (list []string) {
	for _, remedy := range findRemedies(result, err) {
		list = append(list, remedy.plainText())
	}
	return list
}

// remedy is a hint's remedy with the values of the run.
type remedy struct {
	text   string
	values values
}

// findRemedies returns what to do about an error: for each of the errors that were joined, the first
// hint that is for it, and the hints for its hosts.
func findRemedies(result rollout.Result, err error) (list []remedy) {
	if err == nil {
		return nil
	}
	common := runValues(result)
	add := func(text string, more values) {
		all := maps.Clone(common)
		maps.Copy(all, more)
		added := remedy{text, all}
		if !slices.ContainsFunc(list, func(r remedy) bool { return r.plainText() == added.plainText() }) {
			list = append(list, added)
		}
	}
	switch {
	case result.Status == rollout.OutcomeCancelled:
		add("Start the run again when you are ready: it continues with what is left.", nil)
	case errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, lease.ErrLost) && !isMetadataCall(innermostCall(err)):
		add("If the run exceeded the input `timeout`, start it again, which continues with what is left, or raise `timeout`.", nil)
	}
	others := len(slices.DeleteFunc(slices.Clone(result.Hosts), func(h *rollout.Host) bool { return !isHealthy(h) && !wasRolledBackByRun(h) }))
	parts := joinedErrors(err)
	for _, part := range parts {
		hosts := failedHosts(part)
		for _, hint := range hostHints {
			found := slices.DeleteFunc(slices.Clone(hosts), func(h *rollout.Host) bool { return !hint.onHost(h) })
			textFor := func(h *rollout.Host) string {
				if hint.inRun == nil {
					return hint.remedy
				}
				return cmp.Or(hint.inRun(result, h, others), hint.remedy)
			}
			for _, same := range groupHosts(found, textFor) {
				text := textFor(same[0])
				if hint.named && (len(same) < len(hosts) || len(parts) > 1) {
					text = "{instances}: " + text
				}
				names := same[0].ID
				if more := len(same) - 1; more > 0 {
					names += fmt.Sprintf(" and %d more", more)
				}
				add(text, values{"instance": same[0].ID, "instances": names, "others": rollout.Instances(others), "before": versionBack(same)})
			}
		}
		for _, hint := range errorHints {
			if hint.onError == nil {
				continue
			}
			if found := hint.onError(part); found != nil {
				add(hint.remedy, found)
				break
			}
		}
	}
	return list
}

// versionBack returns the version to which hosts were rolled back.
func versionBack(hosts []*rollout.Host) string {
	version := hosts[0].Runs()
	if version == "" || slices.ContainsFunc(hosts, func(h *rollout.Host) bool { return h.Runs() != version }) {
		return "what was there before"
	}
	return version
}

// failedHosts returns the hosts that an error lists.
func failedHosts(err error) []*rollout.Host {
	var (
		unhealthy *rollout.UnhealthyError
		drifted   *rollout.DriftError
	)
	switch {
	case errors.As(err, &unhealthy):
		return unhealthy.Hosts
	case errors.As(err, &drifted):
		return drifted.Hosts
	}
	return nil
}

// runValues returns what every remedy may name.
func runValues(result rollout.Result) values {
	rel := result.Plan.Release
	return values{
		"service": rel.Service, "environment": rel.Environment, "version": rel.Version.String(), "next": nextVersion(result),
		"region": result.Plan.Region, "current": cmp.Or(result.Current.Version, "a version"),
	}
}

// nextVersion returns the one after the highest version that the run knows of.
func nextVersion(result rollout.Result) string {
	known := []string{result.Current.Version, result.Current.Before}
	for _, host := range result.Hosts {
		known = append(known, host.Before, host.Runs())
	}
	highest := result.Plan.Release.Version
	for _, text := range known {
		if version, err := release.ParseVersion(text); err == nil && version.Environment() == highest.Environment() && version.Compare(highest) > 0 {
			highest = version
		}
	}
	return highest.Next().String()
}

// joinedErrors returns the errors that were joined, each a separate problem. An error that wraps several
// with more words is one.
func joinedErrors(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || err.Error() != errors.Join(joined.Unwrap()...).Error() {
		return []error{err}
	}
	var list []error
	for _, e := range joined.Unwrap() {
		list = append(list, joinedErrors(e)...)
	}
	return list
}

var (
	valueName = regexp.MustCompile(`\{([a-z]+)\}`)
	pageLink  = regexp.MustCompile(`\[([^]]*)\]\(([a-z]+\.md[^)]*)\)`)
)

// plainText returns the remedy for a log or an annotation.
func (r remedy) plainText() string {
	text := pageLink.ReplaceAllString(r.text, "$1 ("+rollout.DocsURL+"$2)")
	return r.replaceValues(strings.ReplaceAll(text, "`", ""), func(value string, _ bool) string { return value })
}

// markdown returns the remedy for the summary, whose values are shown literally.
func (r remedy) markdown() string {
	return r.replaceValues(pageLink.ReplaceAllString(r.text, "[$1]("+rollout.DocsURL+"$2)"), func(value string, inCode bool) string {
		if inCode {
			return strings.NewReplacer("`", "'", "\n", " ").Replace(value)
		}
		return escapeCell(value)
	})
}

// replaceValues replaces the names in a text by values, each written as write says, which knows whether it
// is in a code span.
func (r remedy) replaceValues(text string, write func(value string, inCode bool) string) string {
	var b strings.Builder
	end := 0
	for _, at := range valueName.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(text[end:at[0]])
		b.WriteString(write(r.values[text[at[2]:at[3]]], strings.Count(text[:at[0]], "`")%2 == 1))
		end = at[1]
	}
	return b.String() + text[end:]
}
