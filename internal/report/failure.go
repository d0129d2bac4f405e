package report

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// The parts of a failure are bounded; the log has them whole.
const (
	maxNamedHosts  = 3
	maxCauses      = 8
	maxCause       = 2000 // characters of one cause
	maxLogs        = 3    // hosts whose last lines are shown
	maxLogLines    = 15
	maxLogLineSize = 300
)

// describeFailedRun returns the cause of a failure, where it was, what runs now and what to do, with the last
// lines of the programs that failed.
func describeFailedRun(result rollout.Result, err error) string {
	var b strings.Builder
	writeList(&b, "Cause", describeCauses(err, result.Plan.Release.Service))
	if where := describePlace(result); where != "" {
		fmt.Fprintf(&b, "**Where:** %s\n\n", where)
	}
	if running := describeRunning(result); running != "" && result.Plan.Operation != rollout.Doctor {
		fmt.Fprintf(&b, "**What runs now:** %s\n\n", running)
	}
	writeActions(&b, result, err)
	logged := slices.DeleteFunc(failedHostsOf(result), func(h *rollout.Host) bool { return h.Log == "" })
	for i, host := range logged[:min(len(logged), maxLogs)] {
		open := ""
		if i == 0 {
			open = " open"
		}
		title, lines := lastLines(host.Log)
		fmt.Fprintf(&b, "<details%s><summary>%s %s</summary>\n\n<samp>%s</samp>\n\n</details>\n\n", open, title, escapeCell(host.String()), lines)
	}
	return b.String()
}

// writeActions writes what to do about an error.
func writeActions(b *strings.Builder, result rollout.Result, err error) {
	var actions []string
	for _, remedy := range findRemedies(result, err) {
		actions = append(actions, remedy.markdown())
	}
	writeList(b, "What to do", actions)
}

// writeList writes what there is under a title, as a list if it is more than one thing.
func writeList(b *strings.Builder, title string, items []string) {
	switch len(items) {
	case 0:
	case 1:
		fmt.Fprintf(b, "**%s:** %s\n\n", title, items[0])
	default:
		fmt.Fprintf(b, "**%s:**\n\n- %s\n\n", title, strings.Join(items, "\n- "))
	}
}

// describeCauses returns the causes of an error in Markdown, those of hosts once each.
func describeCauses(err error, service string) (causes []string) {
	for _, part := range joinedErrors(err) {
		var (
			hosts     []*rollout.Host
			unhealthy *rollout.UnhealthyError
			drift     *rollout.DriftError
		)
		switch {
		case errors.As(part, &unhealthy) && part.Error() == unhealthy.Error():
			hosts = unhealthy.Hosts
		case errors.As(part, &drift) && part.Error() == drift.Error():
			hosts = drift.Hosts
		default:
			causes = append(causes, escapeCell(truncateText(part.Error(), maxCause)))
		}
		cause := func(h *rollout.Host) string { return describeCause(h, service) }
		for _, same := range groupHosts(hosts, cause) {
			causes = append(causes, nameHosts(same, codeID)+": "+cause(same[0]))
		}
	}
	if more := len(causes) - maxCauses; more > 0 {
		causes = append(causes[:maxCauses], fmt.Sprintf("and %d more", more))
	}
	return causes
}

// nameHosts names the first of some hosts, and counts the others.
func nameHosts(hosts []*rollout.Host, name func(*rollout.Host) string) string {
	var names []string
	for _, host := range hosts[:min(len(hosts), maxNamedHosts)] {
		names = append(names, name(host))
	}
	if more := len(hosts) - maxNamedHosts; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// describePlace returns the step in which a run failed, and its hosts with links.
func describePlace(result rollout.Result) string {
	var place []string
	if i := slices.IndexFunc(result.Steps, func(s rollout.Step) bool { return s.Failed }); i >= 0 {
		step, _, _ := strings.Cut(result.Steps[i].Title, ": ") // without the number of instances
		place = append(place, step)
	}
	if failed := failedHostsOf(result); len(failed) > 0 {
		place = append(place, nameHosts(oneOfEachMessage(failed), func(h *rollout.Host) string {
			text := instanceLink(result, h)
			if links := hostLinks(result, h); links != "" {
				text += " (" + links + ")"
			}
			return text
		}))
	}
	return strings.Join(place, ": ")
}

// oneOfEachMessage returns the hosts, those first whose message none before has.
func oneOfEachMessage(hosts []*rollout.Host) (list []*rollout.Host) {
	groups := groupHosts(hosts, hostMessage)
	for i := 0; len(list) < len(hosts); i++ {
		for _, same := range groups {
			if i < len(same) {
				list = append(list, same[i])
			}
		}
	}
	return list
}

// describeRunning returns how many hosts run which version.
func describeRunning(result rollout.Result) string {
	if len(result.Hosts) == 0 && result.Current.Version != "" {
		return fmt.Sprintf("%s, by the last record; no instance was asked", codeSpan(result.Current.Version))
	}
	var parts []string
	groups := groupHosts(sortByUrgency(result.Hosts), runningNow)
	for _, hosts := range groups {
		on := rollout.Instances(len(hosts))
		switch {
		case len(groups) == 1 && len(hosts) > 1:
			on = "all " + on
		case len(hosts) <= maxNamedHosts:
			on = nameHosts(hosts, codeID)
		}
		parts = append(parts, runningNow(hosts[0])+" on "+on)
	}
	return strings.Join(parts, "; ")
}

// runningNow returns the version that a host is known to run, or what is known instead.
func runningNow(host *rollout.Host) string {
	switch {
	case failedBack(host):
		return codeSpan(host.Runs()) + " (**not healthy**)"
	case host.State == rollout.RollbackFailed && !isUp(host):
		return "**perhaps nothing**"
	case host.IsSilent():
		return "**not known**"
	case hasFailedRun(host):
		return codeSpan(host.Runs()) + " (**its last run failed**)"
	case isDown(host):
		return codeSpan(host.Runs()) + " (**down**)"
	}
	return cmp.Or(codeSpan(host.Runs()), "nothing")
}

// isDown reports whether a host has said that its release does not run. A job that is between two runs is not down.
func isDown(host *rollout.Host) bool {
	report := host.Report
	return report != nil && report.Version != "" && (report.Evidence == deploy.EvidenceNone || report.Unit == "failed" ||
		slices.Contains(report.Drift, "inactive") || slices.Contains(report.Drift, "container"))
}

// hasFailedRun reports whether a host has said that the last run of its job failed.
func hasFailedRun(host *rollout.Host) bool {
	return host.Report != nil && host.Report.Evidence == deploy.EvidenceFailed && slices.Contains(host.Report.Drift, "last-run")
}

// isOnlyFailedRun reports whether a failed run is all that is wrong with a host.
func isOnlyFailedRun(host *rollout.Host) bool {
	return hasFailedRun(host) && !slices.ContainsFunc(host.Drift, func(word string) bool {
		return word != "last-run" && word != "last-deploy" && word != "unit-state"
	})
}

// scriptNote matches a line that the scripts on a host write about a phase.
var scriptNote = regexp.MustCompile(`^20\d\d-\d\d-\d\dT[0-9:]+Z \S+: (.*)$`)

// describeCause returns a host's message in Markdown, preceded by the program's last line if the program has exited.
func describeCause(host *rollout.Host, service string) string {
	message := escapeCell(host.Message)
	if host.Report == nil || host.Report.Reason != deploy.ReasonUnhealthy {
		return message
	}
	line := lastLineBeforeExit(host.Log, service+".service: ")
	if line == "" {
		return message
	}
	return fmt.Sprintf("<samp>%s</samp> (%s)", escapeCell(truncateText(line, maxLogLineSize)), message)
}

// lastLineBeforeExit returns the last line that a program has logged before it exited, or "" if it has not, as its last line is
// no cause then. What systemd writes of the unit after the end mostly names only its description.
func lastLineBeforeExit(log, unit string) string {
	program, _ := programLines(log)
	isExit := func(line string) bool { return strings.HasPrefix(strings.ToLower(line), unit+"main process exited") }
	for ended := false; len(program) > 0; program = program[:len(program)-1] {
		line := strings.TrimSpace(program[len(program)-1])
		switch {
		case isExit(line):
			ended = true
		case !ended || line == "" || strings.HasPrefix(line, unit):
		case len(program) == 1 && startMessage.MatchString(line):
		default:
			return line
		}
	}
	return ""
}

// startMessage matches what systemd writes before the lines of a program.
var startMessage = regexp.MustCompile(`^Start(ing|ed) .*\.$`)

// programLines returns the lines of a host's log that are the program's, and all of them.
func programLines(log string) (program, all []string) {
	phase := ""
	for line := range strings.SplitSeq(strings.TrimSpace(log), "\n") {
		if note := scriptNote.FindStringSubmatch(line); note != nil {
			phase = note[1]
		} else if phase == "health" {
			program = append(program, line)
		}
		all = append(all, line)
	}
	return program, all
}

// lastLines returns the last lines of the program that failed, or else of the log, in Markdown, and
// what they are. They wrap, and are shown literally.
func lastLines(log string) (title, text string) {
	program, all := programLines(log)
	title = "Last lines of the program on"
	if len(program) == 0 {
		title, program = "Last lines of the log of", all
	}
	var lines []string
	for _, line := range program[max(0, len(program)-maxLogLines):] {
		line = truncateText(strings.TrimRight(strings.ReplaceAll(line, "\t", "    "), " \r"), maxLogLineSize)
		indent := len(line) - len(strings.TrimLeft(line, " "))
		lines = append(lines, strings.Repeat("&nbsp;", indent)+escapeCell(line[indent:]))
	}
	return title, strings.Join(lines, "<br>")
}
