package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/atta-deploy-action/internal/rollout"
)

const (
	maxSummaryRows = 100 // instances that need attention
	maxCalmRows    = 20  // other instances of one state; more are only counted
	maxRowMessage  = 300 // characters; the cause has the whole message
)

// groupHosts returns the hosts in groups of the same key, in the order of the first of each.
func groupHosts(hosts []*rollout.Host, key func(*rollout.Host) string) (groups [][]*rollout.Host) {
	index := map[string]int{}
	for _, host := range hosts {
		i, found := index[key(host)]
		if !found {
			i = len(groups)
			index[key(host)], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], host)
	}
	return groups
}

// valuesDiffer reports whether the hosts have more than one value of a key.
func valuesDiffer(hosts []*rollout.Host, key func(*rollout.Host) string) bool {
	return slices.ContainsFunc(hosts, func(h *rollout.Host) bool { return key(h) != key(hosts[0]) })
}

func hostMessage(host *rollout.Host) string { return host.Message }

func versionBefore(host *rollout.Host) string { return host.Before }

func codeID(host *rollout.Host) string { return codeSpan(host.ID) }

// hostGroups returns the hosts by state: tables of those that need attention, and folded ones of the others.
func hostGroups(result rollout.Result) string {
	var b strings.Builder
	rows := maxSummaryRows
	for _, group := range groupHosts(sortByUrgency(result.Hosts), stateLabel) {
		first := group[0]
		if first.State == rollout.NotStarted && onlyAsks(result.Plan.Operation) {
			continue
		}
		label := stateLabel(first)
		switch {
		case result.Plan.Operation == rollout.Doctor:
			label = "❌ not ready for a deploy"
		case result.Plan.Operation == rollout.Rollback && first.State == rollout.Deployed:
			label = "✅ rolled back"
		}
		heading := fmt.Sprintf("%s: %s", label, rollout.Instances(len(group)))
		calm := isHealthy(first) || first.State == rollout.NotStarted || wasRolledBackByRun(first)
		switch {
		case calm && len(group) > maxCalmRows:
			fmt.Fprintf(&b, "**%s%s**\n\n", heading, wavesOf(group))
		case calm:
			fmt.Fprintf(&b, "<details><summary><b>%s</b></summary>\n\n%s\n</details>\n\n", heading, hostTable(result, group))
		default:
			shown := group[:min(len(group), rows)]
			rows -= len(shown)
			fmt.Fprintf(&b, "**%s**\n\n", heading)
			if len(shown) > 0 {
				b.WriteString(hostTable(result, shown) + "\n")
			}
			if more := len(group) - len(shown); more > 0 {
				fmt.Fprintf(&b, "and %s more.\n\n", rollout.Instances(more))
			}
		}
	}
	return b.String()
}

// wavesOf returns the waves of hosts, such as " (waves 1 to 13)", or "" for a single wave or if a host, new or left out, was in
// none.
func wavesOf(hosts []*rollout.Host) string {
	first, last := hosts[0].Wave, hosts[0].Wave
	for _, host := range hosts {
		first, last = min(first, host.Wave), max(last, host.Wave)
	}
	if first == 0 || first == last {
		return ""
	}
	return fmt.Sprintf(" (waves %d to %d)", first, last)
}

// hostTable returns a row for each instance, after a message that all of them share. It has no
// column for what the rest of the summary says already.
func hostTable(result rollout.Result, hosts []*rollout.Host) string {
	type column struct {
		title string
		shown bool
		cell  func(*rollout.Host) string
	}
	wave := func(h *rollout.Host) string { return strings.TrimPrefix(strconv.Itoa(h.Wave), "0") }
	message := func(h *rollout.Host) string { return escapeCell(truncateText(h.Message, maxRowMessage)) }
	changes, shared := !onlyAsks(result.Plan.Operation), len(hosts) > 1 && !valuesDiffer(hosts, message)
	columns := slices.DeleteFunc([]column{
		{"Instance", true, func(h *rollout.Host) string { return instanceLink(result, h) }},
		{"Wave", valuesDiffer(result.Hosts, wave), wave},
		{"Running", changes && valuesDiffer(result.Hosts, runningNow), runningNow},
		{"Previous", changes && valuesDiffer(result.Hosts, versionBefore), func(h *rollout.Host) string { return codeSpan(h.Before) }},
		{"Message", !shared, message},
	}, func(c column) bool { return !c.shown })
	var b strings.Builder
	if shared && hosts[0].Message != "" {
		b.WriteString(message(hosts[0]) + "\n\n")
	}
	line := func(cell func(column) string) {
		for _, c := range columns {
			b.WriteString("| " + cell(c) + " ")
		}
		b.WriteString("|\n")
	}
	line(func(c column) string { return c.title })
	line(func(column) string { return "---" })
	for _, host := range hosts {
		line(func(c column) string { return c.cell(host) })
	}
	return b.String()
}

func stateLabel(host *rollout.Host) string {
	switch host.State {
	case rollout.Deployed, rollout.InSync:
		return "✅ " + string(host.State)
	case rollout.Running, rollout.Installed, rollout.Busy:
		return "⏳ " + string(host.State)
	case rollout.NotStarted:
		return "⚪ not touched"
	}
	if wasRolledBackByRun(host) {
		return "↩️ rolled back as well"
	}
	return "❌ " + strings.Replace(string(host.State), "rolled-back", "failed, and rolled back", 1)
}
