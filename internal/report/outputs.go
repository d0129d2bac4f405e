package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/rollout"
)

// Output is one output of the action.
type Output struct{ Name, Value string }

// Outputs returns the outputs that are known at the end of a run, whatever its result.
// They contain digests, versions, ids and states, never text from a host.
func Outputs(result rollout.Result) []Output {
	outputs := []Output{
		{"status", string(result.Status)},
		{"duration-seconds", strconv.Itoa(int(result.Elapsed.Round(time.Second) / time.Second))},
	}
	if !result.Plan.Phases.Rollout {
		return outputs
	}
	var failed []string
	for _, host := range result.Hosts {
		if !isHealthy(host) && (host.State != rollout.NotStarted || host.IsSilent()) {
			failed = append(failed, host.ID)
		}
	}
	return append(outputs,
		Output{"failed-instances", strings.Join(failed, ",")},
		Output{"results", encodeResults(result.Hosts)},
		Output{"console-url", consoleURL(result)},
	)
}

// maxResults limits the instances in the output results, since GitHub accepts outputs of one
// megabyte. Instances that need attention come first.
// https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/pass-job-outputs
const maxResults = 2000

// isHealthy reports whether an instance has what it should run, and nothing speaks against it.
func isHealthy(host *rollout.Host) bool {
	switch host.State {
	case rollout.Deployed, rollout.Running, rollout.Installed, rollout.InSync:
		return true
	}
	return false
}

func encodeResults(hosts []*rollout.Host) string {
	type row struct {
		Instance string        `json:"instance"`
		State    rollout.State `json:"state"`
		Version  string        `json:"version"`
		Digest   string        `json:"digest"`
		Before   string        `json:"before"`
		Wave     int           `json:"wave,omitempty"`
		Drift    []string      `json:"drift,omitempty"`
	}
	rows := make([]row, 0, len(hosts))
	if len(hosts) > maxResults {
		hosts = sortByUrgency(hosts)[:maxResults]
	}
	for _, host := range hosts {
		r := row{Instance: host.ID, State: host.State, Version: host.Runs(), Before: host.Before, Wave: host.Wave, Drift: host.Drift}
		if host.Report != nil && r.Version != "" {
			r.Digest = host.Report.Digest
		}
		rows = append(rows, r)
	}
	text, _ := json.Marshal(rows) // a slice of strings always encodes
	return string(text)
}

// stateOrder are the states of instances, those that need attention first.
var stateOrder = []rollout.State{
	rollout.RollbackFailed, rollout.Unknown, rollout.RolledBack, rollout.NotDeployed, rollout.Drifted, rollout.Busy,
	rollout.NotStarted, rollout.Running, rollout.Installed, rollout.Deployed, rollout.InSync,
}

// sortByUrgency sorts the instances by their states; those that the run rolled back need no attention.
func sortByUrgency(hosts []*rollout.Host) []*rollout.Host {
	rank := func(h *rollout.Host) int {
		if wasRolledBackByRun(h) {
			return slices.Index(stateOrder, rollout.NotStarted)
		}
		return slices.Index(stateOrder, h.State)
	}
	list := slices.Clone(hosts)
	slices.SortStableFunc(list, func(a, b *rollout.Host) int { return rank(a) - rank(b) })
	return list
}

// consoleURL links to the last command in the region's console.
func consoleURL(result rollout.Result) string {
	if len(result.CommandIDs) == 0 || result.Console == "" {
		return ""
	}
	return fmt.Sprintf("https://%s/systems-manager/run-command/%s?region=%s",
		result.Console, result.CommandIDs[len(result.CommandIDs)-1], result.Plan.Region)
}
