package report_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// verdictOf returns the first line of a run's summary.
func verdictOf(result rollout.Result, err error) string {
	line, _, _ := strings.Cut(report.Summary(result, err), "\n")
	return strings.TrimPrefix(line, "## ")
}

func TestVerdictSaysWhatTheWorstInstanceDid(t *testing.T) {
	exited := func(id string) *rollout.Host {
		h := reasoned(id, rollout.RolledBack, deploy.ReasonUnhealthy)
		h.Report.Exit = 3
		return h
	}
	undone := reasoned("i-9", rollout.RolledBack, deploy.ReasonNone)
	undone.Report.Outcome = deploy.OutcomeDeployed
	asked := reasoned("i-7", rollout.RolledBack, deploy.ReasonNone) // its answer to the rollback was lost
	asked.Report.Outcome, asked.Changed = deploy.OutcomeStatus, true
	ok := host("i-8", rollout.Deployed, "", "0.1.30-dev", "")
	drifted := host("i-1", rollout.Drifted, "", "0.1.29-dev", "")
	drifted.Drift = []string{"version", "unit-file"}
	for want, hosts := range map[string][]*rollout.Host{
		"the program exited with status 3 on i-1":                                            {exited("i-1")},
		"the program exited with status 3 on 2 instances":                                    {exited("i-1"), exited("i-2")},
		"the program exited with status 3 on i-1; 1 of 2 instances was rolled back as well":  {exited("i-1"), undone},
		"the program exited with status 3 on i-1; 2 of 3 instances were rolled back as well": {exited("i-1"), undone, asked},
		"1 instance could not roll back, the program exited with status 3 on 1 instance":     {exited("i-1"), host("i-2", rollout.RollbackFailed, "", "", "")},
		"the program was not healthy on i-1; 1 of 2 instances runs the release":              {reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy), ok},
		"i-1 could not start the release":                                                    {reasoned("i-1", rollout.RolledBack, deploy.ReasonStartFailed)},
		"i-1 failed (not seen)":                                                              {reasoned("i-1", rollout.RolledBack, deploy.ReasonNotSeen)},
		"i-1 refused the release (no space); 1 of 2 instances was not touched":               {reasoned("i-1", rollout.NotDeployed, deploy.ReasonNoSpace), host("i-2", rollout.NotStarted, "", "", "")},
		"i-1 did not run the command":                                                        {host("i-1", rollout.NotDeployed, "", "", "")},
		"i-1 did not report a result; 1 of 3 instances runs the release, 1 was not touched":  {host("i-1", rollout.Unknown, "", "", ""), ok, host("i-2", rollout.NotStarted, "", "", "")},
		"i-1 differs in version, unit-file":                                                  {drifted},
		"2 instances differ in version, unit-file":                                           {drifted, drifted},
		"i-1 is busy":          {host("i-1", rollout.Busy, "", "", "")},
		"2 instances are busy": {host("i-1", rollout.Busy, "", "", ""), host("i-2", rollout.Busy, "", "", "")},
		"1 instance could not roll back, 1 instance did not report a result, 1 instance failed (not seen), 1 instance failed otherwise": {
			host("i-1", rollout.RollbackFailed, "", "", ""), host("i-2", rollout.Unknown, "", "", ""), reasoned("i-3", rollout.RolledBack, deploy.ReasonNotSeen), reasoned("i-4", rollout.NotDeployed, deploy.ReasonNoSpace)},
		"i-1 took longer than command-timeout": {hasRunOutOfTime(host("i-1", rollout.NotDeployed, "", "0.1.29-dev", ""))},
	} {
		result, err := unhealthy(finished(hosts...), rollout.OutcomeFailed)
		if verdict := verdictOf(result, err); !strings.HasSuffix(verdict, ": "+want) {
			t.Errorf("the verdict is %q, want %q", verdict, want)
		}
	}
}

func TestVerdictSaysHowTheRunEnded(t *testing.T) {
	broken := errors.New("broken\nin two lines")
	result := func(operation rollout.Operation, status rollout.Outcome, states ...rollout.State) rollout.Result {
		var hosts []*rollout.Host
		for _, state := range states {
			hosts = append(hosts, host("i-1", state, "", "0.1.29-dev", ""))
		}
		result := finished(hosts...)
		result.Plan.Operation, result.Status = operation, status
		return result
	}
	for want, ended := range map[string]rollout.Result{
		"❌ atta 0.1.30-dev was cancelled in dev: broken; no instance was touched":                result(rollout.Deploy, rollout.OutcomeCancelled, rollout.NotStarted, rollout.NotStarted),
		"❌ atta 0.1.30-dev was not deployed in dev: broken; no instance was touched":             result(rollout.Deploy, rollout.OutcomeFailed),
		"❌ atta 0.1.30-dev was deployed in dev, but the run failed: broken":                      result(rollout.Deploy, rollout.OutcomeFailed, rollout.Deployed),
		"❌ The rollback of atta to 0.1.30-dev failed in dev: broken; no instance was touched":    result(rollout.Rollback, rollout.OutcomeFailed),
		"❌ The status of atta failed in dev: broken":                                             result(rollout.Status, rollout.OutcomeFailed),
		"❌ atta 0.1.30-dev failed in dev, and could not be rolled back: i-1 could not roll back": result(rollout.Deploy, rollout.OutcomeRollbackFailed, rollout.RollbackFailed),
		"❌ atta 0.1.30-dev ended in dev with an unknown result: i-1 did not report a result":     result(rollout.Deploy, rollout.OutcomeUnknown, rollout.Unknown),
	} {
		if verdict := verdictOf(ended, broken); verdict != want {
			t.Errorf("the verdict is %q, want %q", verdict, want)
		}
	}
}

func TestSummaryComparesCommitsOrTags(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*rollout.Result)
		want   string
	}{
		"commits":                  {func(*rollout.Result) {}, "/compare/" + strings.Repeat("e", 40) + "..." + strings.Repeat("d", 40) + ")"},
		"of another version":       {func(r *rollout.Result) { r.Current.Version = "0.1.28-dev" }, "/compare/0.1.29-dev...0.1.30-dev)"},
		"not a commit":             {func(r *rollout.Result) { r.Current.Commit = "main) x" }, "/compare/0.1.29-dev...0.1.30-dev)"},
		"an image of another job":  {func(r *rollout.Result) { r.Plan.Phases.Image = false }, "/compare/0.1.29-dev...0.1.30-dev)"},
		"outside GitHub":           {func(r *rollout.Result) { r.Plan.Holder.RunURL = "" }, ""},
		"nothing was there before": {func(r *rollout.Result) { r.Hosts[0].Before = "" }, ""},
	} {
		result, err := failedCanary()
		test.change(&result)
		summary := report.Summary(result, err)
		if test.want == "" && strings.Contains(summary, "/compare/") || !strings.Contains(summary, test.want) {
			t.Errorf("%s: the summary is\n%s", name, summary)
		}
	}
}

func TestSummaryShowsTheEndOfTheLogIfTheProgramDidNotRun(t *testing.T) {
	result, err := failedCanary()
	var log strings.Builder
	for n := range 40 {
		log.WriteString(strings.Repeat("x", n) + "\n")
	}
	result.Hosts[0].Log = log.String()
	summary := report.Summary(result, err)
	if !strings.Contains(summary, "Last lines of the log of i-0") || !strings.Contains(summary, "<samp>"+strings.Repeat("x", 25)+"<br>") {
		t.Errorf("the summary is\n%s", summary)
	}
}

// GitHub shows the source of a chart that Mermaid cannot read.
func TestTimelineContainsNoTextThatMermaidInterprets(t *testing.T) {
	result, err := failedCanary()
	result.Hosts[0].ID = "i-0\n    section x:y;#%%{init}"
	result.Hosts[0].Report.Millis = map[string]int64{"pull": 1 << 62, "health": -5}
	_, chart, _ := strings.Cut(report.Summary(result, err), "\ngantt\n")
	chart, _, _ = strings.Cut(chart, "```")
	if strings.Count(chart, "section") != 3 || strings.ContainsAny(strings.Replace(chart, "%H:%M:%S", "", 1), ";#%{}") || !strings.Contains(chart, "    section i-0 section x,y init, wave 1\n") {
		t.Errorf("the chart is\n%s", chart)
	}
	for line := range strings.Lines(chart) {
		if strings.Contains(line, "pull") && !strings.HasSuffix(line, ", 26000ms\n") {
			t.Errorf("a phase is longer than its command: %s", line)
		}
	}
}

func TestDoctorNamesTheInstancesThatAreNotFit(t *testing.T) {
	unfit := func(id string) *rollout.Host {
		h := host(id, rollout.NotDeployed, "", "", "the Docker engine does not answer")
		h.Report = &deploy.Report{Outcome: deploy.OutcomeRefused, Reason: deploy.ReasonEngineUnavailable}
		return h
	}
	for want, hosts := range map[string][]*rollout.Host{
		"i-2 is not ready (engine unavailable); 1 of 2 instances is ready\n":          {unfit("i-2")},
		"2 instances are not ready (engine unavailable); 1 of 3 instances is ready\n": {unfit("i-2"), unfit("i-3")},
	} {
		result := finished(append(hosts, host("i-1", rollout.NotStarted, "", "", "ready for a deploy"))...)
		result.Plan.Operation = rollout.Doctor
		result.Status = rollout.OutcomeFailed
		summary := report.Summary(result, &rollout.UnhealthyError{Hosts: hosts})
		if want := "atta in dev is not ready for a deploy: " + want; !strings.Contains(summary, want) || strings.Contains(summary, "not started") || strings.Contains(summary, "not touched") {
			t.Errorf("no %q in\n%s", want, summary)
		}
	}
}

func TestALongCauseIsNotCutWithinAWord(t *testing.T) {
	result := finished()
	result.Status = rollout.OutcomeFailed
	summary := report.Summary(result, errors.New(strings.Repeat("x", 150)+" repository"))
	if want := strings.Repeat("x", 150) + "…;"; !strings.Contains(summary, want) {
		t.Errorf("no %q in\n%s", want, summary)
	}
}
