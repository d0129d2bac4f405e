package report

import (
	"fmt"
	"html"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/rollout"
)

// maxSummaryRows limits the table of instances; those that need attention come first.
const maxSummaryRows = 200

// Summary returns the result of the run in Markdown, starting with the verdict.
func Summary(result rollout.Result, err error) string {
	var b strings.Builder
	rel := result.Plan.Release
	fmt.Fprintf(&b, "## %s\n\n", runVerdict(result, err))
	if err != nil {
		fmt.Fprintf(&b, "<pre>%s</pre>\n\n", html.EscapeString(err.Error()))
		if list := remedies(result, err); len(list) > 0 {
			for _, remedy := range list {
				fmt.Fprintf(&b, "- %s\n", remedy.markdown())
			}
			b.WriteString("\n")
		}
	}

	b.WriteString("| | |\n|---|---|\n")
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", name, value)
		}
	}
	row("Service", codeSpan(rel.Service))
	row("Environment", codeSpan(rel.Environment))
	if result.Plan.Operation == rollout.Status {
		row("Expected version", codeSpan(result.Current.Version))
	} else {
		row("Version", codeSpan(rel.Version.String()))
		row("Previous version", codeSpan(result.Previous()))
	}
	row("Image", codeSpan(result.Image.URI))
	if result.Plan.Phases.Image && result.Plan.Operation == rollout.Deploy {
		row("Source", codeSpan(result.Plan.Image.Source))
	}
	row("Bundle", codeSpan(result.Bundle.URI))
	row("Account, region", codeSpan(strings.Trim(result.Account+" "+result.Plan.Region, " ")))
	if result.Plan.Operation != rollout.Status {
		row("Deployment", codeSpan(result.Plan.DeploymentID))
	}
	if url := consoleURL(result); url != "" {
		row("Command", fmt.Sprintf("[%s](%s)", result.CommandIDs[len(result.CommandIDs)-1], url))
	}
	row("Duration", result.Elapsed.Round(time.Second).String())

	if len(result.Hosts) > 0 {
		b.WriteString("\n" + hostTable(result.Hosts))
	}
	return b.String()
}

// runSubject names what the run does, such as "atta 0.1.30-dev to dev".
func runSubject(result rollout.Result) string {
	rel := result.Plan.Release
	switch name := strings.TrimSpace(rel.Service + " " + rel.Version.String()); result.Plan.Operation {
	case rollout.Status:
		return fmt.Sprintf("status of %s in %s", rel.Service, rel.Environment)
	case rollout.Rollback:
		return fmt.Sprintf("rollback of %s in %s", name, rel.Environment)
	default:
		return fmt.Sprintf("%s to %s", name, rel.Environment)
	}
}

func runVerdict(result rollout.Result, err error) string {
	rel := result.Plan.Release
	name := fmt.Sprintf("%s %s", rel.Service, rel.Version)
	switch {
	case result.Status == rollout.OutcomePlanned:
		return fmt.Sprintf("📋 %s: planned, nothing was changed", runSubject(result))
	case err != nil || result.Status != rollout.OutcomeSuccess:
		return fmt.Sprintf("❌ %s: %s%s", runSubject(result), result.Status, progressSuffix(result))
	case result.Plan.Operation == rollout.Status:
		return statusVerdict(result)
	case result.Plan.Phases.Rollout:
		return rolloutVerdict(result)
	case result.Plan.Phases.Image && result.Plan.Phases.Bundle:
		return fmt.Sprintf("✅ The image and the bundle of %s are ready", name)
	case result.Plan.Phases.Image:
		return fmt.Sprintf("✅ The image of %s is ready", name)
	}
	return fmt.Sprintf("✅ The bundle of %s is ready", name)
}

// rolloutVerdict says of a successful rollout what was seen. A job that has not ended, or was not
// run, has proved nothing yet.
func rolloutVerdict(result rollout.Result) string {
	states := map[rollout.State]int{}
	for _, host := range result.Hosts {
		states[host.State]++
	}
	verdict := fmt.Sprintf("✅ %s %s runs on %s of %s", result.Plan.Release.Service, result.Plan.Release.Version, rollout.Instances(len(result.Hosts)), result.Plan.Release.Environment)
	switch running, installed := states[rollout.Running], states[rollout.Installed]; {
	case installed == len(result.Hosts):
		return strings.Replace(verdict, " runs on ", " is installed, and was not run yet, on ", 1)
	case running+installed > 0:
		return fmt.Sprintf("%s: %d deployed, %d running, %d installed", verdict, states[rollout.Deployed], running, installed)
	}
	return verdict
}

func statusVerdict(result rollout.Result) string {
	outOfSync, states := 0, map[rollout.State]int{}
	for _, host := range result.Hosts {
		states[host.State]++
		if !isHealthy(host) {
			outOfSync++
		}
	}
	if outOfSync == 0 {
		verdict := fmt.Sprintf("✅ %s in %s: %s in sync", result.Plan.Release.Service, result.Plan.Release.Environment, rollout.Instances(len(result.Hosts)))
		if running, installed := states[rollout.Running], states[rollout.Installed]; running+installed > 0 {
			verdict += fmt.Sprintf(", of which %d running and %d installed were not seen to succeed yet", running, installed)
		}
		return verdict
	}
	return fmt.Sprintf("⚠️ %s in %s: %d of %s out of sync", result.Plan.Release.Service, result.Plan.Release.Environment, outOfSync, rollout.Instances(len(result.Hosts)))
}

// progressSuffix returns the progress of an unsuccessful run, such as ", 2 of 3 instances
// deployed, 1 unknown". It is empty if it would repeat the status.
func progressSuffix(result rollout.Result) string {
	states := map[rollout.State]int{}
	for _, host := range result.Hosts {
		states[host.State]++
	}
	switch {
	case states[rollout.NotStarted] == len(result.Hosts):
		return ", no instance was touched"
	case len(result.Hosts) == 1 && string(result.Hosts[0].State) == string(result.Status):
		return ""
	}
	first := rollout.Deployed
	if result.Plan.Operation == rollout.Status {
		first = rollout.InSync
	}
	list := []string{fmt.Sprintf("%d of %s %s", states[first], rollout.Instances(len(result.Hosts)), first)}
	for _, state := range []rollout.State{
		rollout.Running, rollout.Installed, rollout.RollbackFailed, rollout.Unknown, rollout.RolledBack, rollout.NotDeployed, rollout.Drifted, rollout.Busy, rollout.NotStarted,
	} {
		if n := states[state]; n > 0 {
			list = append(list, fmt.Sprintf("%d %s", n, state))
		}
	}
	return ", " + strings.Join(list, ", ")
}

// hostTable returns a row for each instance, up to maxSummaryRows, with a column for the wave if there were several.
func hostTable(hosts []*rollout.Host) string {
	var b strings.Builder
	waves := slices.ContainsFunc(hosts, func(h *rollout.Host) bool { return h.Wave > 1 })
	line := func(wave string, cells ...string) {
		if waves {
			cells = slices.Insert(cells, 1, wave)
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	line("Wave", "Instance", "State", "Running", "Previous", "Unit", "Message")
	line("---", "---", "---", "---", "---", "---", "---")
	for _, host := range sortByUrgency(hosts)[:min(len(hosts), maxSummaryRows)] {
		unit, wave := "", ""
		if host.Report != nil {
			unit = host.Report.Unit
		}
		if host.Wave > 0 {
			wave = strconv.Itoa(host.Wave)
		}
		line(wave, escapeCell(host.String()), stateLabel(host.State), codeSpan(host.Runs()), codeSpan(host.Before), escapeCell(unit), escapeCell(host.Message))
	}
	if more := len(hosts) - maxSummaryRows; more > 0 {
		fmt.Fprintf(&b, "\nand %s more.\n", rollout.Instances(more))
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
		return string(state)
	}
	return "❌ " + string(state)
}

// markdownEscaper escapes every character that Markdown interprets or that mentions a user.
var markdownEscaper = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "&#124;", "`", "&#96;", "*", "&#42;", "_", "&#95;",
	"[", "&#91;", "]", "&#93;", "@", "&#64;", "#", "&#35;", "~", "&#126;", `\`, "&#92;", "\n", "<br>", "\r", "",
)

// escapeCell returns untrusted text as one table cell that is shown literally.
func escapeCell(text string) string { return markdownEscaper.Replace(text) }

// codeSpan returns a value of a fixed format in code style; empty stays empty.
func codeSpan(value string) string {
	if value == "" {
		return ""
	}
	return "`" + value + "`"
}
