package rollout_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
)

// A run was cancelled, or could not write, after its last wave: every instance runs 0.1.30-dev, healthy, and 0.1.29-dev is
// recorded. Whoever follows what a status says must not be refused.
func TestTheRemedyOfAStatusAfterAnUnrecordedDeployCanBeFollowed(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, _ := f.addHosts(2, "0.1.28-dev")
		if _, err := f.runPlan(f.plan("0.1.29-dev", ids...)); err != nil {
			t.Fatal(err)
		}
		f.buildImage("another program")
		f.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: "current.json", Error: &localaws.Error{Status: 403, Code: "AccessDenied", Message: "denied"}})
		_, err := f.runPlan(f.plan("0.1.30-dev", ids...))
		wantErrorParts(t, err, "0.1.30-dev runs, and was not recorded as current")
		f.ClearFaults()

		status := f.plan("0.1.30-dev", ids...)
		status.Operation, status.FailOnDrift, status.DeploymentID = rollout.Status, true, "d-status"
		result, err := f.runPlan(status)
		if !errors.As(err, new(*rollout.DriftError)) {
			t.Fatal(err)
		}
		hints := strings.Join(report.Hints(result, err), "\n")
		if !strings.Contains(hints, "Deploy 0.1.30-dev again, which was not recorded") {
			t.Fatal(hints)
		}
		again := f.plan("0.1.30-dev", ids...)
		again.DeploymentID, again.Holder.Deployment = "d-again", "d-again"
		if result, err := f.runPlan(again); err != nil || result.Hosts[0].Changed {
			t.Errorf("the remedy is %q, and it ends with: %v", hints, err)
		}
		status.DeploymentID = "d-later"
		if _, err := f.runPlan(status); err != nil {
			t.Errorf("after the remedy: %v", err)
		}
	})
}
