package report_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
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
