package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/rollout"
)

// Summary returns the result of the run in Markdown, starting with the verdict: after a failure
// with its cause and what to do, and then what changed, when, and on which instances.
func Summary(result rollout.Result, err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", escapeCell(runVerdict(result, err)))
	if err != nil {
		b.WriteString(describeFailedRun(result, err))
	}
	if at := beganAt(result); at != "" && onlyAsks(result.Plan.Operation) {
		fmt.Fprintf(&b, "**Asked:** %s\n\n", at)
	}
	switch {
	case result.Plan.Operation == rollout.Status:
		fmt.Fprintf(&b, "**Should run:** %s\n\n", cmp.Or(codeSpan(result.Current.Version), "nothing is recorded"))
		if outOfSync := failedHostsOf(result); err == nil && len(outOfSync) > 0 {
			writeActions(&b, result, &rollout.DriftError{Hosts: outOfSync, Of: len(result.Hosts)})
		}
		b.WriteString(hostGroups(result))
	case result.Status == rollout.OutcomePlanned:
		b.WriteString(changeLine(result))
		b.WriteString(plannedWaves(result))
	case result.Plan.Operation == rollout.Doctor:
		b.WriteString(hostGroups(result))
	default:
		if err == nil && countStates(result.Hosts)[rollout.Running] > 0 {
			b.WriteString("**What to do:** Check the status when the job has ended: the release is verified if the job has succeeded. If the program is to stay up, set `mode: service` and, once, `on-running: kill`.\n\n")
		}
		b.WriteString(changeLine(result))
		if chart := timelineChart(result); chart != "" {
			fmt.Fprintf(&b, "%s\n", chart)
		}
		b.WriteString(hostGroups(result))
	}
	return b.String() + runDetails(result)
}

// changeLine returns the version before and after with links to the changes, the image and the run.
func changeLine(result rollout.Result) string {
	from, to := result.Previous(), result.Plan.Release.Version.String()
	before := codeSpan(from)
	if valuesDiffer(result.Hosts, versionBefore) {
		before = "different versions"
	}
	parts := []string{strings.Trim(before+" → "+codeSpan(to), " →"), compareLink(result, from, to)}
	if result.Image.URI != "" {
		parts = append(parts, "image "+imageLink(result))
	}
	if url := consoleURL(result); url != "" {
		parts = append(parts, fmt.Sprintf("[command](%s)", url))
	}
	if url := result.Plan.Holder.RunURL; url != "" {
		parts = append(parts, fmt.Sprintf("[run](%s) by %s", url, escapeCell(cmp.Or(result.Plan.Holder.Actor, "the workflow"))))
	}
	parts = append(parts, formatDuration(result.Elapsed), beganAt(result))
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), " · ") + "\n\n"
}

// beganAt returns when a run began, to the minute.
func beganAt(result rollout.Result) string {
	if len(result.Steps) == 0 {
		return ""
	}
	return result.Steps[0].Began.UTC().Format("2006-01-02 15:04 UTC")
}

// plannedWaves returns the hosts of each wave with what would change.
func plannedWaves(result rollout.Result) string {
	if len(result.Hosts) == 0 {
		return ""
	}
	waves, last := map[int][]*rollout.Host{}, 0
	for _, host := range result.Hosts {
		waves[host.Wave] = append(waves[host.Wave], host)
		last = max(last, host.Wave)
	}
	var b strings.Builder
	b.WriteString("| Wave | Instances | Change |\n|---|---|---|\n")
	for wave := 1; wave <= last; wave++ {
		for _, hosts := range groupHosts(waves[wave], hostMessage) {
			names := nameHosts(hosts, func(h *rollout.Host) string { return instanceLink(result, h) })
			fmt.Fprintf(&b, "| %d | %s: %s | %s |\n", wave, rollout.Instances(len(hosts)), names, escapeCell(hosts[0].Message))
		}
	}
	return b.String() + "\n"
}

// runDetails returns what identifies the run and its artifacts, folded.
func runDetails(result rollout.Result) string {
	var b strings.Builder
	b.WriteString("<details><summary>Names, IDs and commands</summary>\n\n| | |\n|---|---|\n")
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", name, value)
		}
	}
	rel := result.Plan.Release
	row("Service", codeSpan(rel.Service))
	row("Environment", codeSpan(rel.Environment))
	if !onlyAsks(result.Plan.Operation) {
		row("Version", codeSpan(rel.Version.String()))
		row("Previous version", codeSpan(result.Previous()))
	}
	row("Image", codeSpan(result.Image.URI))
	if result.Plan.Phases.Image && result.Plan.Operation == rollout.Deploy {
		row("Source", codeSpan(strings.NewReplacer("`", "'", "|", `\|`, "\n", " ").Replace(result.Plan.Image.Source)))
	}
	row("Bundle", codeSpan(result.Bundle.URI))
	row("Account, region", codeSpan(strings.Trim(result.Account+" "+result.Plan.Region, " ")))
	if !onlyAsks(result.Plan.Operation) {
		row("Deployment", codeSpan(result.Plan.DeploymentID))
	}
	var commands []string
	for _, id := range result.CommandIDs[:min(len(result.CommandIDs), maxCalmRows)] {
		commands = append(commands, consoleLink(result, id, "systems-manager/run-command/"+id))
	}
	if more := len(result.CommandIDs) - len(commands); more > 0 {
		commands = append(commands, fmt.Sprintf("and %d more", more))
	}
	row("Commands", strings.Join(commands, "<br>"))
	row("Began", beganAt(result))
	row("Duration", result.Elapsed.Round(time.Second).String())
	return b.String() + "\n</details>\n"
}
