package report_test

import (
	"errors"
	"slices"
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

func TestDoctorNamesTheInstanceThatIsNotFit(t *testing.T) {
	unfit := host("i-2", rollout.NotDeployed, "", "", "the Docker engine does not answer")
	unfit.Report = &deploy.Report{Outcome: deploy.OutcomeRefused, Reason: deploy.ReasonEngineUnavailable}
	result := finished(host("i-1", rollout.NotStarted, "", "", "ready for a deploy"), unfit)
	result.Plan.Operation = rollout.Doctor
	result.Status = rollout.OutcomeFailed
	summary := report.Summary(result, &rollout.UnhealthyError{Hosts: []*rollout.Host{unfit}})
	if want := "atta in dev is not ready for a deploy: i-2 is not ready (engine unavailable); 1 of 2 instances is ready\n"; !strings.Contains(summary, want) || strings.Contains(summary, "not started") || strings.Contains(summary, "not touched") {
		t.Errorf("no %q in\n%s", want, summary)
	}
}

// What to do about one cause is not for the instances that failed for another.
func TestRemediesNameTheInstancesOfTheirCause(t *testing.T) {
	full, exited := host("i-1", rollout.NotDeployed, "", "", "no room"), host("i-2", rollout.RolledBack, "", "", "exited")
	full.Report = &deploy.Report{Outcome: deploy.OutcomeRefused, Reason: deploy.ReasonNoSpace}
	exited.Report = &deploy.Report{Outcome: deploy.OutcomeRolledBack, Reason: deploy.ReasonUnhealthy, Exit: 3}
	for want, hosts := range map[string][]*rollout.Host{"Free disk space on": {full}, "i-1: Free disk space on": {full, exited}} {
		result, err := unhealthy(finished(hosts...), rollout.OutcomeRolledBack)
		if hints := report.Hints(result, err); !slices.ContainsFunc(hints, func(hint string) bool { return strings.HasPrefix(hint, want) }) {
			t.Errorf("no hint begins with %q: %q", want, hints)
		}
	}
}

// What several instances run is hardly the cause of a failure on one; nor is it the release's fault if the previous
// version fails in the same way.
func TestRemedyLooksFirstAtWhatTellsTheReleaseFromItsSurroundings(t *testing.T) {
	failed, undone := reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy), reasoned("i-2", rollout.RolledBack, deploy.ReasonNone)
	undone.Report.Outcome = deploy.OutcomeDeployed
	up := reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy)
	up.Report.Version, up.Report.Unit = "0.1.29-dev", "active"
	alone := *up
	for want, hosts := range map[string][]*rollout.Host{
		"See the program's last log lines.":                  {failed, host("i-2", rollout.NotStarted, "", "", "")},
		"The same error: what both versions need is down":    {&alone},
		"shows what 0.1.29-dev logs since it is up again":    {up, host("i-2", rollout.NotStarted, "", "", "")},
		"The release is healthy on 2 instances: check first": {failed, undone, host("i-3", rollout.Deployed, "", "0.1.30-dev", "")},
	} {
		result, _ := unhealthy(finished(hosts...), rollout.OutcomeRolledBack)
		if hints := strings.Join(report.Hints(result, &rollout.UnhealthyError{Hosts: hosts[:1], Of: len(hosts)}), "\n"); !strings.Contains(hints, want) {
			t.Errorf("no %q in %q", want, hints)
		}
	}
}

// Depending on its version, systemd logs units by name or by description.
func TestCauseIsTheLastLineOfTheProgramThatEnded(t *testing.T) {
	const note, exit = "2026-01-02T03:04:30Z 0.1.30-dev: health\n", "\natta.service: Main process exited, code=exited, status=3/NOTIMPLEMENTED\n"
	for name, test := range map[string]struct{ log, want string }{
		"named by its unit":        {"no database" + exit + "atta.service: Failed with result 'exit-code'.\nFailed to start atta.service - atta: the deployed release.", "no database"},
		"named by its description": {"Starting atta: the deployed release, run as a container...\nno database" + exit + "atta.service: Failed with result 'exit-code'.\nFailed to start atta: the deployed release, run as a container.", "no database"},
		"of an old systemd":        {"no database\natta.service: main process exited, code=exited, status=3/NOTIMPLEMENTED\nFailed to start atta: the deployed release.\nUnit atta.service entered failed state.\natta.service failed.", "no database"},
		"with the name of a unit":  {"dial tcp: lookup atta.service.consul: no such host" + exit, "dial tcp: lookup atta.service.consul: no such host"},
		"silent":                   {"Starting atta: the deployed release, run as a container..." + exit, ""},
		"still running":            {"listening on port 8080\n", ""},
	} {
		failed := reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy)
		failed.Log = note + test.log
		result, err := unhealthy(finished(failed), rollout.OutcomeRolledBack)
		want := "**Cause:** `i-1`: its words\n"
		if test.want != "" {
			want = "**Cause:** `i-1`: <samp>" + test.want + "</samp> (its words)\n"
		}
		if summary := report.Summary(result, err); !strings.Contains(summary, want) {
			line, _, _ := strings.Cut(summary[strings.Index(summary, "**Cause"):], "\n")
			t.Errorf("%s: %s", name, line)
		}
	}
}

// The exit status may be the same where the cause is not.
func TestCauseIsThatOfEachInstance(t *testing.T) {
	var hosts []*rollout.Host
	for id, line := range map[string]string{"i-1": "no database", "i-2": "no space left on device"} {
		failed := reasoned(id, rollout.RolledBack, deploy.ReasonUnhealthy)
		failed.Log = "2026-01-02T03:04:30Z 0.1.30-dev: health\n" + line + "\natta.service: Main process exited, code=exited, status=3/n/a"
		hosts = append(hosts, failed)
	}
	result, err := unhealthy(finished(hosts...), rollout.OutcomeRolledBack)
	summary := report.Summary(result, err)
	for _, want := range []string{"- `i-1`: <samp>no database</samp> (its words)\n", "- `i-2`: <samp>no space left on device</samp> (its words)\n"} {
		if !strings.Contains(summary, want) {
			t.Errorf("no %q in\n%s", want, summary)
		}
	}
}

// Whoever is told not to roll back leaves the release on the other instances.
func TestNoRollbackByHandOnlyWhereAllIsBack(t *testing.T) {
	for name, test := range map[string]struct {
		operation rollout.Operation
		others    []*rollout.Host
		want      bool
		says      string
	}{
		"alone":                      {rollout.Deploy, nil, true, ""},
		"others were not touched":    {rollout.Deploy, []*rollout.Host{host("i-2", rollout.NotStarted, "", "", "")}, true, ""},
		"others keep the release":    {rollout.Deploy, []*rollout.Host{host("i-2", rollout.Deployed, "0.1.29-dev", "0.1.30-dev", "")}, false, "On i-1, 0.1.29-dev is back, but not on every instance"},
		"others are unknown":         {rollout.Deploy, []*rollout.Host{host("i-2", rollout.Unknown, "", "", "")}, false, "but not on every instance"},
		"a rollback has been undone": {rollout.Rollback, nil, false, "The rollback did not succeed on i-1: 0.1.29-dev, which was to be replaced, is back."},
		"of a rollback, partly":      {rollout.Rollback, []*rollout.Host{host("i-2", rollout.Deployed, "0.1.31-dev", "0.1.30-dev", "")}, false, "The rollback did not succeed on i-1"},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := unhealthy(finished(append([]*rollout.Host{reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy)}, test.others...)...), rollout.OutcomeFailed)
			result.Plan.Operation = test.operation
			hints := strings.Join(report.Hints(result, err), "\n")
			if got := strings.Contains(hints, "Do not roll back by hand"); got != test.want || !strings.Contains(hints, test.says) {
				t.Errorf("the hints are\n%s", hints)
			}
			// The fleet and the instance quarantine no image that a rollback returns to, and the version after that one exists.
			if test.operation == rollout.Rollback && (strings.Contains(hints, "quarantined") || strings.Contains(hints, "0.1.31-dev")) {
				t.Errorf("the hints of a rollback are those of a deploy:\n%s", hints)
			}
		})
	}
}

// A database that is down also fails the previous version, which is up.
func TestRemedyForWhatFailsInBothVersionsIsNotARelease(t *testing.T) {
	failed := reasoned("i-1", rollout.RollbackFailed, deploy.ReasonUnhealthy)
	failed.Report.Version, failed.Report.Unit = "0.1.29-dev", "active"
	result, err := unhealthy(finished(failed), rollout.OutcomeRollbackFailed)
	summary := report.Summary(result, err)
	for _, want := range []string{"`0.1.29-dev` (**not healthy**)", "0.1.29-dev is back on i-1, but is not healthy either", "and 0.1.30-dev can be deployed again", "show a bug instead, release the fix as 0.1.31-dev"} {
		if !strings.Contains(summary, want) {
			t.Errorf("no %q in\n%s", want, summary)
		}
	}
	failed.Report.Unit = "failed"
	if summary := report.Summary(result, err); !strings.Contains(summary, "**perhaps nothing**") || !strings.Contains(summary, "may run nothing") {
		t.Errorf("the summary is\n%s", summary)
	}
}

func TestNoReleaseIsSaidToBeBackWhereThereWasNone(t *testing.T) {
	failed := reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy)
	failed.Before, failed.Report.Version = "", ""
	result, err := unhealthy(finished(failed), rollout.OutcomeRolledBack)
	if hints := strings.Join(report.Hints(result, err), "\n"); !strings.Contains(hints, "As before, no release is installed on i-1.") || strings.Contains(hints, "back") {
		t.Errorf("the hints are\n%s", hints)
	}
}

// What ran healthy before this run is not quarantined.
func TestNoRemedyCallsTheRunningImageQuarantined(t *testing.T) {
	failed := reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy)
	result, err := unhealthy(finished(failed), rollout.OutcomeRolledBack)
	for verified, want := range map[bool]string{true: " if its image is refused.", false: ", as its image is now refused."} {
		result.Current.Verified, result.Current.Digest = verified, result.Image.Digest
		if hints := strings.Join(report.Hints(result, err), "\n"); !strings.Contains(hints, want) {
			t.Errorf("no %q in\n%s", want, hints)
		}
	}
}
