package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// The timeline stays readable for any number of waves and hosts.
const (
	maxTimelineSteps = 12
	maxTimelineHosts = 2
	minTimelineBar   = 20 // as a part of the whole: a shorter phase of a host is left out, unless it failed
)

// timelineLayout makes room for the ID of an instance.
// https://mermaid.js.org/config/schema-docs/config-defs-gantt-diagram-config.html
const timelineLayout = "---\nconfig:\n  gantt:\n    leftPadding: 175\n---\n"

// timelineChart returns the run as a Gantt chart, in UTC: its steps, and the phases of the slowest hosts.
// https://mermaid.js.org/syntax/gantt.html
func timelineChart(result rollout.Result) string {
	steps := result.Steps
	if len(steps) < 2 {
		return ""
	}
	whole := steps[len(steps)-1].Ended.Sub(steps[0].Began)
	b := &strings.Builder{}
	b.WriteString("```mermaid\n" + timelineLayout + "gantt\n    dateFormat YYYY-MM-DD HH:mm:ss.SSS\n    axisFormat %H:%M:%S\n    todayMarker off\n    section Run\n")
	if more := len(steps) - maxTimelineSteps; more > 0 {
		left := steps[maxTimelineSteps/2:][:more]
		joined := rollout.Step{Title: fmt.Sprintf("%d more steps", more), Began: left[0].Began, Ended: left[more-1].Ended}
		steps = slices.Concat(steps[:maxTimelineSteps/2], []rollout.Step{joined}, steps[maxTimelineSteps/2+more:])
	}
	for _, step := range steps {
		tag := "done"
		if step.Failed {
			tag = "crit"
		}
		writeBar(b, step.Title, tag, step.Began, step.Ended)
	}
	for _, host := range slowestHosts(result) {
		writeHost(b, host, whole/minTimelineBar)
	}
	return b.String() + "```\n"
}

// slowestHosts returns the hosts to show in a timeline: those that failed first, then the slowest.
func slowestHosts(result rollout.Result) []*rollout.Host {
	timed := slices.DeleteFunc(failedHostsOf(result), func(h *rollout.Host) bool { return h.Ended.IsZero() })
	if len(timed) > maxTimelineHosts/2 {
		timed = timed[:maxTimelineHosts/2]
	}
	others := slices.DeleteFunc(slices.Clone(result.Hosts), func(h *rollout.Host) bool { return h.Ended.IsZero() || slices.Contains(timed, h) })
	slices.SortStableFunc(others, func(a, b *rollout.Host) int { return int(b.Ended.Sub(b.Sent) - a.Ended.Sub(a.Sent)) })
	return append(timed, others[:min(len(others), maxTimelineHosts-len(timed))]...)
}

// writeHost writes what a host did between the send of its command and the end. Its phases are
// measured on the host, and are shown at the end of that time; what is before them is SSM's part.
func writeHost(b *strings.Builder, host *rollout.Host, shortest time.Duration) {
	title := mermaidText(host.ID)
	if host.Wave > 0 {
		title += fmt.Sprintf(", wave %d", host.Wave)
	}
	fmt.Fprintf(b, "    section %s\n", title)
	var phases time.Duration
	for _, phase := range deploy.Phases() {
		phases += phaseTime(host, phase)
	}
	begin := host.Ended.Add(-phases)
	if begin.Before(host.Sent) {
		begin = host.Sent
	}
	if begin.After(host.Sent) {
		writeBar(b, "SSM", "done", host.Sent, begin)
	}
	for _, phase := range deploy.Phases() {
		took := phaseTime(host, phase)
		tag := "done"
		if !isHealthy(host) && phase == "health" || phase == "rollback" && host.State == rollout.RollbackFailed {
			tag = "crit"
		}
		if took > 0 && (took >= shortest || tag == "crit" || phase == "rollback") {
			writeBar(b, phase, tag, begin, begin.Add(took))
		}
		begin = begin.Add(took)
	}
}

// phaseTime returns how long a phase took by the host's report, which is not trusted: at most as
// long as its command.
func phaseTime(host *rollout.Host, phase string) time.Duration {
	if host.Report == nil {
		return 0
	}
	whole := host.Ended.Sub(host.Sent)
	return time.Duration(min(max(host.Report.Millis[phase], 0), whole.Milliseconds())) * time.Millisecond
}

// writeBar writes one task. A chart shows only bars that have a length.
func writeBar(b *strings.Builder, title, tag string, begin, end time.Time) {
	took := max(end.Sub(begin), time.Millisecond)
	fmt.Fprintf(b, "    %s (%s) :%s, %s, %dms\n", mermaidText(title), formatDuration(took), tag, begin.UTC().Format("2006-01-02 15:04:05.000"), took.Milliseconds())
}

// unsafeMermaid matches what could end a task or a section, or be markup.
var unsafeMermaid = regexp.MustCompile(`[^A-Za-z0-9 ,.()-]+`)

// mermaidText returns text for the title of a task or a section.
func mermaidText(text string) string {
	return truncateText(strings.Join(strings.Fields(unsafeMermaid.ReplaceAllString(strings.ReplaceAll(text, ":", ","), " ")), " "), 60)
}

// formatDuration rounds a duration for people.
func formatDuration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
