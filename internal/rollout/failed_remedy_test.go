package rollout_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
)

// 0.1.30-dev was unhealthy on the second instance, and the first, which had got it, could not be told to roll back. Nobody is to
// be told to deploy it.
func TestTheRemedyOfAStatusIsNotToDeployTheReleaseThatFailed(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.28-dev")
		if _, err := f.runPlan(f.plan("0.1.29-dev", ids...)); err != nil {
			t.Fatal(err)
		}
		f.buildImage("another program")
		hosts[1].NextBehavior = unhealthy
		f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: hosts[0], InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if strings.Contains(i.Script, "\nset -- rollback ") {
				return &localaws.DeliveryFault{Status: "Undeliverable", Code: -1}
			}
			return nil
		}})
		plan := f.plan("0.1.30-dev", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 100}}
		result, err := f.runPlan(plan)
		if err == nil || installedVersions(hosts) != "0.1.30 0.1.29 0.1.29" {
			t.Fatal(states(result), installedVersions(hosts), err)
		}
		status := f.plan("0.1.30-dev", ids...)
		status.Operation, status.FailOnDrift, status.DeploymentID = rollout.Status, true, "d-status"
		result, err = f.runPlan(status)
		if !errors.As(err, new(*rollout.DriftError)) {
			t.Fatal(err)
		}
		hints := strings.Join(report.Hints(result, err), "\n")
		again := f.plan("0.1.30-dev", ids...)
		again.DeploymentID, again.Holder.Deployment = "d-again", "d-again"
		_, refused := f.runPlan(again)
		if strings.Contains(hints, "Deploy 0.1.30-dev again") {
			t.Errorf("the remedy is %q, and it ends with: %v", hints, refused)
		}
	})
}
