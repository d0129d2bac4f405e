package rollout_test

import (
	"testing"

	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// SSM sends no command to a wave if one of its instances has been stopped meanwhile.
func TestInstanceThatDisappearsBeforeItsWaveRollsNothingBack(t *testing.T) {
	for name, count := range map[string]int{"with others": 3, "alone": 2} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(count, "0.1.29-dev")
				hosts[0].NextBehavior = func(string) simhost.Behavior {
					f.AddInstance(localaws.Instance{ID: ids[1], Name: "name-of-i-02", Stopped: true, Machine: hosts[1]})
					return simhost.Behavior{}
				}
				result, err := f.runPlan(f.planInWaves("0.1.30-dev", ids...))
				wantErrorParts(t, err, "every other instance runs 0.1.30-dev, and keeps it", "instance i-02 (name-of-i-02): not-deployed: is stopped, or not managed by SSM")
				want := "i-01 deployed, i-02 not-deployed, i-03 deployed"[:len("i-01 deployed, i-02 not-deployed")+(count-2)*len(", i-03 deployed")]
				if got := states(result); got != want || result.Status != rollout.OutcomeFailed {
					t.Errorf("%s: %s, want %s", result.Status, got, want)
				}
			})
		})
	}
}

// A wave that fails names the instance that has disappeared from it as well.
func TestInstanceThatDisappearsBeforeAWaveThatFailsIsNamed(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.29-dev")
		hosts[0].NextBehavior = func(string) simhost.Behavior {
			f.AddInstance(localaws.Instance{ID: ids[1], Name: "name-of-i-02", Stopped: true, Machine: hosts[1]})
			return simhost.Behavior{}
		}
		hosts[2].NextBehavior = unhealthy
		result, err := f.runPlan(f.planInWaves("0.1.30-dev", ids...))
		wantErrorParts(t, err, "instance i-03 (name-of-i-03): rolled-back", "instance i-02 (name-of-i-02): not-deployed: is stopped, or not managed by SSM")
		if got := states(result); got != "i-01 rolled-back, i-02 not-deployed, i-03 rolled-back" {
			t.Error(got)
		}
	})
}
