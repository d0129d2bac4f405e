package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// runVerdict returns the result in one sentence, as plain text with text from hosts.
func runVerdict(result rollout.Result, err error) string {
	rel := result.Plan.Release
	name := fmt.Sprintf("%s %s", rel.Service, rel.Version)
	switch {
	case result.Status == rollout.OutcomePlanned && result.Plan.Operation == rollout.Rollback:
		return fmt.Sprintf("📋 rollback of %s in %s: planned, nothing was changed%s", strings.TrimSpace(name), rel.Environment, planSuffix(result))
	case result.Status == rollout.OutcomePlanned:
		return fmt.Sprintf("📋 %s to %s: planned, nothing was changed%s", name, rel.Environment, planSuffix(result))
	case err != nil || result.Status != rollout.OutcomeSuccess:
		return "❌ " + failureVerdict(result, err)
	case result.Plan.Operation == rollout.Doctor:
		return fmt.Sprintf("✅ %s in %s: no problems found, %s ready for a deploy", rel.Service, rel.Environment, rollout.Instances(len(result.Hosts)))
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

// planSuffix says how far a planned run would go, such as "; 12 instances in 3 waves".
func planSuffix(result rollout.Result) string {
	if len(result.Hosts) == 0 {
		return ""
	}
	last := slices.MaxFunc(result.Hosts, func(a, b *rollout.Host) int { return a.Wave - b.Wave })
	return strings.TrimSuffix(fmt.Sprintf("; %s in %d waves", rollout.Instances(len(result.Hosts)), last.Wave), " in 1 waves")
}

// onlyAsks reports whether an operation changes nothing on instances.
func onlyAsks(operation rollout.Operation) bool {
	return operation == rollout.Status || operation == rollout.Doctor
}

// countStates returns how many hosts are in each state.
func countStates(hosts []*rollout.Host) map[rollout.State]int {
	states := map[rollout.State]int{}
	for _, host := range hosts {
		states[host.State]++
	}
	return states
}

// rolloutVerdict says of a successful rollout what was seen. A job that has not ended, or was not
// run, has proved nothing yet.
func rolloutVerdict(result rollout.Result) string {
	states := countStates(result.Hosts)
	running, installed := states[rollout.Running], states[rollout.Installed]
	subject, verb := result.Plan.Release.Service+" "+result.Plan.Release.Version.String(), "runs"
	if installed == len(result.Hosts) {
		verb = "is installed, and was not run yet,"
	}
	if result.Plan.Operation == rollout.Rollback {
		if installed < len(result.Hosts) && !slices.ContainsFunc(result.Hosts, isUp) { // a rollback does not run a job
			verb = "is back"
		}
		subject, verb = fmt.Sprintf("%s was rolled back to %s,", result.Plan.Release.Service, result.Plan.Release.Version), "which "+verb
	}
	verdict := fmt.Sprintf("✅ %s %s on %s of %s", subject, verb, rollout.Instances(len(result.Hosts)), result.Plan.Release.Environment)
	if running+installed > 0 && installed < len(result.Hosts) {
		verdict += fmt.Sprintf(": %d deployed, %d running, %d installed", states[rollout.Deployed], running, installed)
	}
	return verdict
}

func statusVerdict(result rollout.Result) string {
	outOfSync, states := len(failedHostsOf(result)), countStates(result.Hosts)
	service := result.Plan.Release.Service + " in " + result.Plan.Release.Environment
	if outOfSync > 0 {
		return fmt.Sprintf("⚠️ %s: %d of %s out of sync", service, outOfSync, rollout.Instances(len(result.Hosts)))
	}
	verdict := fmt.Sprintf("✅ %s: %s in sync", service, rollout.Instances(len(result.Hosts)))
	if running, installed := states[rollout.Running], states[rollout.Installed]; running+installed > 0 {
		verdict += fmt.Sprintf(", of which %d running and %d installed were not seen to succeed yet", running, installed)
	}
	return verdict
}

// maxVerdictCause limits the characters of a cause in the verdict; the whole cause follows it.
const maxVerdictCause = 160

// failureVerdict says how the run ended, what the hosts did, the worst first, and how far the others are.
func failureVerdict(result rollout.Result, err error) string {
	verdict := describeOutcome(result)
	failed := failedHostsOf(result)
	switch {
	case result.Plan.Operation == rollout.Doctor && len(describeCauses(err, result.Plan.Release.Service)) > 1:
		verdict += fmt.Sprintf(": %d problems", len(describeCauses(err, result.Plan.Release.Service)))
	case len(failed) > 0:
		verdict += ": " + describeFailures(failed)
		if result.Plan.Operation == rollout.Doctor {
			verdict = strings.NewReplacer("instances refused the release", "instances are not ready", "refused the release", "is not ready").Replace(verdict)
		}
	case err != nil:
		line, _, _ := strings.Cut(err.Error(), "\n")
		verdict += ": " + truncateText(line, maxVerdictCause)
		if more := len(joinedErrors(err)) - 1; more > 0 {
			verdict += fmt.Sprintf(", and %d more", more)
		}
	}
	return verdict + progressSuffix(result)
}

// describeOutcome says how a run ended that is not a success, such as "atta 0.1.30-dev was rolled back in dev".
func describeOutcome(result rollout.Result) string {
	rel := result.Plan.Release
	name, deploys, in := strings.TrimSpace(rel.Service+" "+rel.Version.String()), true, " in "+rel.Environment
	switch result.Plan.Operation {
	case rollout.Doctor:
		return fmt.Sprintf("%s in %s is not ready for a deploy", rel.Service, rel.Environment)
	case rollout.Status:
		name, deploys = "The status of "+rel.Service, false
	case rollout.CleanUp:
		if len(result.Hosts) == 0 {
			return fmt.Sprintf("What %s has left%s is not known", name, in)
		}
	case rollout.Rollback:
		name, deploys = fmt.Sprintf("The rollback of %s to %s", rel.Service, cmp.Or(rel.Version.String(), "the previous version")), false
	}
	states := countStates(result.Hosts)
	switch result.Status {
	case rollout.OutcomeCancelled:
		return name + " was cancelled" + in
	case rollout.OutcomeRolledBack:
		return name + " was rolled back" + in
	case rollout.OutcomeRollbackFailed:
		return name + " failed" + in + ", and could not be rolled back"
	case rollout.OutcomeUnknown:
		return name + " ended" + in + " with an unknown result"
	}
	switch done := states[rollout.Deployed] + states[rollout.Running] + states[rollout.Installed]; {
	case !deploys || !result.Plan.Phases.Rollout:
		return name + " failed" + in
	case done == 0:
		return name + " was not deployed" + in
	case done == len(result.Hosts):
		return name + " was deployed" + in + ", but the run failed"
	}
	return name + " was not deployed everywhere" + in
}

// failedHostsOf returns the hosts on which a run has failed, those that need attention first.
func failedHostsOf(result rollout.Result) []*rollout.Host {
	return slices.DeleteFunc(sortByUrgency(result.Hosts), func(h *rollout.Host) bool {
		return isHealthy(h) || h.State == rollout.NotStarted || wasRolledBackByRun(h)
	})
}

// wasRolledBackByRun reports whether a host had the release, and the run rolled it back because of another one.
func wasRolledBackByRun(host *rollout.Host) bool {
	return host.State == rollout.RolledBack && len(host.Drift) == 0 &&
		(host.Changed || host.Report != nil && (host.Report.Outcome == deploy.OutcomeDeployed || host.Report.Outcome == deploy.OutcomeUnchanged))
}

// describeFailures says what hosts did, such as "the program exited with status 3 on i-1", each failure once.
func describeFailures(hosts []*rollout.Host) string {
	var list []string
	groups := groupHosts(hosts, func(h *rollout.Host) string { return describeFailure(h, "") })
	for _, same := range groups[:min(len(groups), maxNamedHosts)] {
		who := rollout.Instances(len(same))
		if len(hosts) == 1 {
			who = same[0].ID
		}
		text := describeFailure(same[0], who)
		if len(same) > 1 {
			text = strings.NewReplacer(" differs ", " differ ", " is ", " are ").Replace(text)
		}
		list = append(list, text)
	}
	if more := groups[len(list):]; len(more) > 0 {
		list = append(list, rollout.Instances(len(slices.Concat(more...)))+" failed otherwise")
	}
	return strings.Join(list, ", ")
}

// describeFailure says what a host did, such as "the program exited with status 3 on i-1", where it is called who.
func describeFailure(host *rollout.Host, who string) string {
	reason := deploy.ReasonNone
	if host.Report != nil {
		reason = host.Report.Reason
	}
	because := ""
	if reason != deploy.ReasonNone {
		because = " (" + strings.ReplaceAll(string(reason), "-", " ") + ")"
	}
	switch {
	case host.State == rollout.Unknown:
		return who + " did not report a result"
	case host.State == rollout.RollbackFailed:
		return who + " could not roll back" + because
	case host.State == rollout.RolledBack && len(host.Drift) > 0:
		return who + " no longer ran it (" + strings.Join(host.Drift, ", ") + ")"
	case host.State == rollout.Drifted && len(host.Drift) > 0:
		return who + " differs in " + strings.Join(host.Drift, ", ")
	case host.State == rollout.Drifted || host.State == rollout.Busy:
		return who + " is " + string(host.State)
	case host.State == rollout.NotDeployed && host.Status == fleet.StatusExecutionTimedOut:
		return who + " took longer than command-timeout"
	case host.State == rollout.NotDeployed && reason == deploy.ReasonNone:
		return who + " did not run the command"
	case host.State == rollout.NotDeployed:
		return who + " refused the release" + because
	case reason == deploy.ReasonUnhealthy && host.Report.Exit > 0:
		return fmt.Sprintf("the program exited with status %d on %s", host.Report.Exit, who)
	case reason == deploy.ReasonUnhealthy:
		return "the program was not healthy on " + who
	case reason == deploy.ReasonStartFailed || reason == deploy.ReasonStepFailed:
		return who + " could not start the release"
	}
	return who + " failed" + because
}

// progressSuffix says how far an unsuccessful run got, such as "; 9 of 10 instances were not
// touched"; empty for a single host that was.
func progressSuffix(result rollout.Result) string {
	states, of, with := countStates(result.Hosts), " of "+rollout.Instances(len(result.Hosts)), 0
	for _, host := range result.Hosts {
		if wasRolledBackByRun(host) {
			with++
		}
	}
	untouched, apart := states[rollout.NotStarted], "were not touched"
	if result.Plan.Operation == rollout.Doctor {
		apart = "are ready"
	}
	if result.Plan.Operation == rollout.CleanUp && len(result.Hosts) == 0 {
		return "" // nobody was asked
	}
	if untouched == len(result.Hosts) && !onlyAsks(result.Plan.Operation) {
		return "; no instance was touched"
	}
	var list []string
	for _, part := range []struct {
		count int
		text  string
	}{
		{states[rollout.Deployed] + states[rollout.Running] + states[rollout.Installed], "run the release"},
		{with, "were rolled back as well"},
		{states[rollout.InSync], "are in sync"},
		{untouched, apart},
	} {
		if part.count == 1 {
			part.text = strings.NewReplacer("run ", "runs ", "are ", "is ", "were ", "was ").Replace(part.text)
		}
		if part.count > 0 {
			list = append(list, fmt.Sprintf("%d%s %s", part.count, of, part.text))
			of = ""
		}
	}
	if len(list) == 0 || len(result.Hosts) == 1 {
		return ""
	}
	return "; " + strings.Join(list, ", ")
}

// maxWord is how many characters of text may go so that it is not cut within a word.
const maxWord = 20

// truncateText returns text of at most limit characters.
func truncateText(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	text = string(runes[:limit-1])
	if runes[limit-1] != ' ' {
		if end := strings.LastIndexByte(text, ' '); end > len(text)-maxWord {
			text = text[:end]
		}
	}
	return strings.TrimSpace(text) + "…"
}
