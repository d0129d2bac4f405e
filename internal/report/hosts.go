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

func hostMessage(host *rollout.Host) string { return host.Message }

func codeID(host *rollout.Host) string { return codeSpan(host.ID) }

// hostGroups returns the hosts by state: tables of those that need attention, and folded ones of the others.
func hostGroups(result rollout.Result) string {
	var b strings.Builder
	rows := maxSummaryRows
	for _, state := range stateOrder {
		group := slices.DeleteFunc(slices.Clone(result.Hosts), func(h *rollout.Host) bool { return h.State != state })
		if len(group) == 0 || state == rollout.NotStarted && onlyAsks(result.Plan.Operation) {
			continue
		}
		heading := fmt.Sprintf("%s: %s", stateLabel(state), rollout.Instances(len(group)))
		calm := isHealthy(group[0]) || state == rollout.NotStarted
		switch {
		case calm && len(group) > maxCalmRows:
			fmt.Fprintf(&b, "**%s**\n\n", heading)
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

// hostTable returns a row for each instance, with the wave if there were several, and with the
// previous version unless the run only asked.
func hostTable(result rollout.Result, hosts []*rollout.Host) string {
	var b strings.Builder
	waves := slices.ContainsFunc(result.Hosts, func(h *rollout.Host) bool { return h.Wave > 1 })
	line := func(instance, wave, runs, before string, cells ...string) {
		if !onlyAsks(result.Plan.Operation) {
			cells = slices.Insert(cells, 0, before)
		}
		cells = slices.Insert(cells, 0, runs)
		if waves {
			cells = slices.Insert(cells, 0, wave)
		}
		b.WriteString("| " + strings.Join(slices.Insert(cells, 0, instance), " | ") + " |\n")
	}
	line("Instance", "Wave", "Running", "Previous", "Unit", "Message")
	line("---", "---", "---", "---", "---", "---")
	for _, host := range hosts {
		unit, wave := "", ""
		if host.Report != nil {
			unit = host.Report.Unit
		}
		if host.Wave > 0 {
			wave = strconv.Itoa(host.Wave)
		}
		line(instanceLink(result, host), wave, codeSpan(host.Runs()), codeSpan(host.Before), escapeCell(unit), escapeCell(truncateText(host.Message, maxRowMessage)))
	}
	return b.String()
}

func stateLabel(state rollout.State) string {
	switch state {
	case rollout.Deployed, rollout.InSync:
		return "✅ " + string(state)
	case rollout.Running, rollout.Installed, rollout.Busy:
		return "⏳ " + string(state)
	case rollout.NotStarted:
		return "⚪ not started"
	}
	return "❌ " + string(state)
}
