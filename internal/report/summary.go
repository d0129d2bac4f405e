package report

import (
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/rollout"
)

// maxRows bounds the table of instances; those that need attention come first.
const maxRows = 200

// Summary is the run in Markdown, the verdict first.
func Summary(result rollout.Result, err error) string {
	var b strings.Builder
	rel := result.Plan.Release
	fmt.Fprintf(&b, "## %s\n\n", verdict(result, err))
	if err != nil {
		fmt.Fprintf(&b, "<pre>%s</pre>\n\n", html.EscapeString(err.Error()))
		if hints := Hints(result, err); len(hints) > 0 {
			for _, hint := range hints {
				fmt.Fprintf(&b, "- %s\n", cell(hint))
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
	row("Service", code(rel.Service))
	row("Version", code(rel.Version.String()))
	row("Ran before", code(result.Previous()))
	row("Image", code(result.Image.URI))
	row("Bundle", code(result.Bundle.URI))
	row("Account, region", code(strings.Trim(result.Account+" "+result.Plan.Region, " ")))
	row("Deployment", code(result.Plan.DeploymentID))
	if url := consoleURL(result); url != "" {
		row("Command", fmt.Sprintf("[%s](%s)", result.CommandIDs[len(result.CommandIDs)-1], url))
	}
	row("Took", result.Elapsed.Round(time.Second).String())

	if len(result.Hosts) > 0 {
		b.WriteString("\n" + hostTable(result.Hosts))
	}
	return b.String()
}

func verdict(result rollout.Result, err error) string {
	rel := result.Plan.Release
	name := fmt.Sprintf("%s %s", rel.Service, rel.Version)
	switch {
	case err != nil || result.Status != rollout.Success:
		return fmt.Sprintf("❌ %s to %s: %s%s", name, rel.Environment, result.Status, extent(result))
	case result.Plan.Rollout:
		return fmt.Sprintf("✅ %s runs on %s of %s", name, count(len(result.Hosts), "instance"), rel.Environment)
	case result.Plan.Image && result.Plan.Bundle:
		return fmt.Sprintf("✅ The image and the bundle of %s are ready", name)
	case result.Plan.Image:
		return fmt.Sprintf("✅ The image of %s is ready", name)
	}
	return fmt.Sprintf("✅ The bundle of %s is ready", name)
}

// extent says how far a run got that was no success, after its status: ", 2 of 3
// instances deployed, 1 unknown". It is empty when the status says it all.
func extent(result rollout.Result) string {
	states := map[rollout.State]int{}
	for _, host := range result.Hosts {
		states[host.State]++
	}
	switch {
	case states[rollout.Waiting] == len(result.Hosts):
		return ", no instance was touched"
	case len(result.Hosts) == 1 && string(result.Hosts[0].State) == string(result.Status):
		return ""
	}
	list := []string{fmt.Sprintf("%d of %s deployed", states[rollout.Deployed], count(len(result.Hosts), "instance"))}
	for _, state := range []rollout.State{rollout.RollbackFailed, rollout.Unknown, rollout.RolledBack, rollout.NotDeployed, rollout.Waiting} {
		if n := states[state]; n > 0 {
			list = append(list, fmt.Sprintf("%d %s", n, state))
		}
	}
	return ", " + strings.Join(list, ", ")
}

func hostTable(hosts []rollout.Host) string {
	var b strings.Builder
	b.WriteString("| Instance | State | Runs now | Before | Unit | Says |\n|---|---|---|---|---|---|\n")
	rows := 0
	for _, wantBad := range []bool{true, false} {
		for _, host := range hosts {
			if (host.State != rollout.Deployed) != wantBad {
				continue
			}
			if rows++; rows > maxRows {
				continue
			}
			unit := ""
			if host.Report != nil {
				unit = host.Report.Unit
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", cell(host.String()), mark(host.State), code(host.Runs()), code(host.Before), cell(unit), cell(host.Message))
		}
	}
	if rows > maxRows {
		fmt.Fprintf(&b, "\nand %s more.\n", count(rows-maxRows, "instance"))
	}
	return b.String()
}

func mark(state rollout.State) string {
	switch state {
	case rollout.Deployed:
		return "✅ " + string(state)
	case rollout.Waiting:
		return string(state)
	}
	return "❌ " + string(state)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// markdown gives every character that means something to Markdown, or calls
// somebody, as an entity.
var markdown = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "&#124;", "`", "&#96;", "*", "&#42;", "_", "&#95;",
	"[", "&#91;", "]", "&#93;", "@", "&#64;", "#", "&#35;", "~", "&#126;", `\`, "&#92;", "\n", "<br>", "\r", "",
)

// cell is text from elsewhere as one table cell, shown as it is.
func cell(text string) string { return markdown.Replace(text) }

// code is a value of a fixed form, in code style; empty stays empty.
func code(value string) string {
	if value == "" {
		return ""
	}
	return "`" + value + "`"
}
