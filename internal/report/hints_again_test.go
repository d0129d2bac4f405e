package report_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

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

// The timer was stopped as well: there is no next run to wait for.
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
