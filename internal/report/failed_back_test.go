package report_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

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
