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
