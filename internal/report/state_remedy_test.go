package report_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// Its answer was lost, and asked again it says that it found the release unhealthy: the run quarantines the image, so the
// same version is refused.
func TestRemedyOfALostUnhealthyAnswerNamesTheQuarantine(t *testing.T) {
	for state, unit := range map[rollout.State]string{rollout.Unknown: "inactive", rollout.RolledBack: "active"} {
		failed := host("i-1", state, "0.1.29-dev", "0.1.29-dev", "its answer was lost; asked again, it reports that it rolled back")
		failed.Report = &deploy.Report{Outcome: deploy.OutcomeStatus, About: "rolled-back:40", Reason: deploy.ReasonUnhealthy, Version: "0.1.29-dev", Unit: unit, Verified: true}
		outcome := rollout.OutcomeUnknown
		if state == rollout.RolledBack {
			outcome = rollout.OutcomeRolledBack
		}
		result, err := unhealthy(finished(failed), outcome)
		hints := strings.Join(report.Hints(result, err), "\n")
		if !strings.Contains(hints, "allow-quarantined") {
			t.Errorf("%s: nothing says that the image is refused:\n%s", state, hints)
		}
		if strings.Contains(hints, "Deploying this version again is safe") {
			t.Errorf("%s: the version is refused now:\n%s", state, hints)
		}
	}
}

// What is installed and down does not run.
func TestWhatIsDownIsNotSaidToRunNow(t *testing.T) {
	for name, state := range map[string]rollout.State{
		"its answer was lost, and what it went back to is down": rollout.Unknown,
		"it has failed since, and nothing rolls back":           rollout.Drifted,
		"rolled back to what was down":                          rollout.RolledBack,
	} {
		down := host("i-1", state, "0.1.29-dev", "0.1.29-dev", "its words")
		down.Report = &deploy.Report{Outcome: deploy.OutcomeStatus, About: "rolled-back:30", Version: "0.1.29-dev", Unit: "inactive", Verified: true, Evidence: deploy.EvidenceNone, Drift: []string{"inactive"}}
		result, err := unhealthy(finished(down), rollout.OutcomeUnknown)
		summary := report.Summary(result, err)
		for line := range strings.SplitSeq(summary, "\n") {
			if strings.Contains(line, "uns now") && strings.Contains(line, "`0.1.29-dev` on") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}

// While a deploy of the next version is at work, a status must not say to deploy the previous one.
func TestTheRemedyForABusyInstanceIsToWait(t *testing.T) {
	busy := host("i-1", rollout.Busy, "0.1.29-dev", "0.1.29-dev", "runs 0.1.29-dev; a deploy is at work")
	busy.Report = &deploy.Report{Outcome: deploy.OutcomeStatus, Version: "0.1.29-dev", Busy: true}
	result := finished(busy)
	result.Plan.Operation, result.Status, result.Current.Version = rollout.Status, rollout.OutcomeFailed, "0.1.29-dev"
	err := &rollout.DriftError{Hosts: result.Hosts, Of: 1}
	if hints := strings.Join(report.Hints(result, err), "\n"); strings.Contains(hints, "Deploy 0.1.29-dev again") {
		t.Errorf("the only remedy is %q", hints)
	}
}

// Its answer to the deploy was lost, and it has answered since: its agent runs.
func TestAnInstanceThatHasAnsweredSinceHasAnAgent(t *testing.T) {
	failed := host("i-1", rollout.Unknown, "0.1.29-dev", "0.1.30-dev", "asked again: it has 0.1.30-dev, and differs in inactive")
	failed.Status = fleet.StatusDeliveryTimedOut
	failed.Report = &deploy.Report{Outcome: deploy.OutcomeStatus, About: "deployed:0", Version: "0.1.30-dev", Unit: "inactive", Drift: []string{"inactive"}}
	result, err := unhealthy(finished(failed), rollout.OutcomeUnknown)
	if hints := strings.Join(report.Hints(result, err), "\n"); strings.Contains(hints, "The SSM agent does not run") {
		t.Errorf("its agent has just answered: %s", hints)
	}
}

// A nightly run has failed: another deploy would run the job again, and fail again.
func TestTheRemedyForAFailedRunIsNotToDeploy(t *testing.T) {
	failed := failedRun(host("i-1", rollout.Drifted, "0.1.29-dev", "0.1.29-dev", "its words"))
	result := finished(failed)
	result.Plan.Operation, result.Status, result.Current.Version = rollout.Status, rollout.OutcomeFailed, "0.1.29-dev"
	hints := strings.Join(report.Hints(result, &rollout.DriftError{Hosts: result.Hosts, Of: 1}), "\n")
	if !strings.Contains(hints, "The last run of the job failed") || strings.Contains(hints, "Deploy 0.1.29-dev again") {
		t.Error(hints)
	}
}

// A job whose run failed is deployed again, and fails again: its timer and its release are as before.
func TestTheRemedyForAReleaseThatWasThereBeforeNamesIt(t *testing.T) {
	failed := reasoned("i-1", rollout.RollbackFailed, deploy.ReasonUnhealthy)
	failed.Before, failed.Report.Version, failed.Report.Unit, failed.Report.Outcome = "0.1.30-dev", "0.1.30-dev", "failed", deploy.OutcomeRollbackFailed
	result, err := unhealthy(finished(failed), rollout.OutcomeRollbackFailed)
	if hints := strings.Join(report.Hints(result, err), "\n"); !strings.Contains(hints, "0.1.30-dev was installed on i-1 before as well") || strings.Contains(hints, "may run nothing") {
		t.Error(hints)
	}
}

// The instance could not stop the release to go back, or was rolled back by the run and could not: what is up is the new
// release, and nothing is back.
func TestNoRemedyCallsTheReleaseItselfBack(t *testing.T) {
	failed := reasoned("i-1", rollout.RollbackFailed, deploy.ReasonUnhealthy)
	failed.Report.Version, failed.Report.Unit, failed.Report.Outcome = "0.1.30-dev", "active", deploy.OutcomeRollbackFailed
	result, err := unhealthy(finished(failed), rollout.OutcomeRollbackFailed)
	hints := strings.Join(report.Hints(result, err), "\n")
	for _, wrong := range []string{"0.1.30-dev is back on i-1", "0.1.30-dev recovers without a deploy"} {
		if strings.Contains(hints, wrong) {
			t.Errorf("%q, although 0.1.29-dev ran before, in\n%s", wrong, hints)
		}
	}
}

// A service is deployed again, and does not come up. The instance holds an earlier release, to which a rollback goes.
func TestTheRemedyForAReleaseThatWasThereBeforeDoesNotDenyTheOneBefore(t *testing.T) {
	failed := reasoned("i-1", rollout.RollbackFailed, deploy.ReasonUnhealthy)
	failed.Before, failed.Report.Version, failed.Report.Unit = "0.1.30-dev", "0.1.30-dev", "failed"
	failed.Report.About, failed.Report.Previous, failed.Report.Releases = "rollback-failed:41", "0.1.29-dev", []string{"0.1.30-dev", "0.1.29-dev"}
	result, err := unhealthy(finished(failed), rollout.OutcomeRollbackFailed)
	if hints := strings.Join(report.Hints(result, err), "\n"); strings.Contains(hints, "there is nothing else to go back to") {
		t.Errorf("0.1.29-dev is there, and nobody says that a rollback is possible: %s", hints)
	}
}

// The timer was stopped as well: no further run will come.
func TestTheRemedyForAFailedRunWhoseTimerIsStoppedIsNotToWait(t *testing.T) {
	for _, word := range []string{"timer", "unit-file", "disabled", "digest"} {
		failed := failedRun(host("i-1", rollout.Drifted, "0.1.29-dev", "0.1.29-dev", "its words"))
		failed.Report.Drift = []string{word, "last-run"}
		failed.Drift = failed.Report.Drift
		result := finished(failed)
		result.Plan.Operation, result.Status, result.Current.Version = rollout.Status, rollout.OutcomeFailed, "0.1.29-dev"
		hints := strings.Join(report.Hints(result, &rollout.DriftError{Hosts: result.Hosts, Of: 1}), "\n")
		if !strings.Contains(hints, "Deploy 0.1.29-dev again") {
			t.Errorf("%s: a run that succeeds does not end this drift: %s", word, hints)
		}
	}
}

// A rollback from 0.1.31-dev to 0.1.30-dev, in which a step before the program fails. A version is never reused, so the fix cannot be
// released as the one that runs.
func TestTheRemedyOfARollbackDoesNotNameAVersionThatIsTaken(t *testing.T) {
	for _, reason := range []deploy.Reason{deploy.ReasonStartFailed, deploy.ReasonStepFailed, deploy.ReasonUnitInvalid, deploy.ReasonReleaseChanged} {
		failed := reasoned("i-1", rollout.RolledBack, reason)
		failed.Before, failed.Report.Version = "0.1.31-dev", "0.1.31-dev"
		result, err := unhealthy(finished(failed), rollout.OutcomeRolledBack)
		result.Plan.Operation, result.Current.Version = rollout.Rollback, "0.1.31-dev"
		if hints := strings.Join(report.Hints(result, err), "\n"); strings.Contains(hints, "0.1.31-dev") && strings.Contains(hints, "release it as 0.1.31-dev") || strings.Contains(hints, "release 0.1.31-dev") {
			t.Errorf("%s: 0.1.31-dev runs: %s", reason, hints)
		}
	}
}

// The line is in deploy/.env.example of the release, and nothing on the instance has been made of it yet.
func TestTheRemedyForAnInvalidExampleIsNotToCorrectTheInstance(t *testing.T) {
	failed := reasoned("i-1", rollout.NotDeployed, deploy.ReasonSettingsInvalid)
	failed.Message = "deploy/.env.example of 0.1.30-dev, line 3: docker takes KEY=value only, without export, blanks around the name, a value of several lines or, on podman, a byte order mark"
	failed.Report.Message = failed.Message
	result, err := unhealthy(finished(failed), rollout.OutcomeFailed)
	if hints := strings.Join(report.Hints(result, err), "\n"); strings.Contains(hints, "Correct that line of /opt/atta/.env on the instance") && !strings.Contains(hints, ".env.example") {
		t.Errorf("no hint has that line: %s", hints)
	}
}

// A deploy of the version to roll back to is refused, since a newer one runs.
func TestTheRemedyForAnUnknownRollbackIsNotADeploy(t *testing.T) {
	silent := host("i-1", rollout.Unknown, "0.1.31-dev", "", "no answer")
	result, err := unhealthy(finished(silent), rollout.OutcomeUnknown)
	result.Plan.Operation, result.Current.Version = rollout.Rollback, "0.1.31-dev"
	if hints := strings.Join(report.Hints(result, err), "\n"); strings.Contains(hints, "Deploying this version again is safe") {
		t.Error(hints)
	}
}
