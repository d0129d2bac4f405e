package rollout_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/localaws"
)

// An auto scaling group terminates an instance while the deploy is at work on it: https://github.com/acquia/moonshot/issues/7
// What became of the release there is not known, so the others go back, and the remedy is for an instance that is gone, too.
func TestCaseAnInstanceThatIsTerminatedDuringItsDeploy(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.29-dev")
		dev := map[string]string{"Environment": "dev"}
		for i, id := range ids {
			f.AddInstance(localaws.Instance{ID: id, Machine: hosts[i], Tags: dev})
		}
		f.AddInstance(localaws.Instance{ID: ids[1], Machine: hosts[1], Tags: dev, InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if !strings.Contains(i.Script, "\nset -- deploy ") {
				return nil
			}
			f.AddInstance(localaws.Instance{ID: ids[1], Stopped: true})
			return &localaws.DeliveryFault{Status: "InProgress", Code: -1}
		}})
		f.buildImage("program of 0.1.30-dev")
		plan := f.plan("0.1.30-dev")
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "i-02", "is stopped, or not managed by SSM")
		if got := states(result); got != "i-01 rolled-back, i-02 unknown, i-03 rolled-back" {
			t.Error(got)
		}
		if hints := strings.Join(report.Hints(result, err), "\n"); !strings.Contains(hints, "If the instance is gone, take it out") {
			t.Errorf("the hint is %q", hints)
		}
	})
}
