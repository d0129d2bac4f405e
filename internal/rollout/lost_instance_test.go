package rollout_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
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
				if got := states(result); got != want || result.Status != rollout.OutcomeFailed || result.Hosts[0].IsSilent() || !result.Hosts[1].IsSilent() {
					t.Errorf("%s: %s, want %s", result.Status, got, want)
				}
			})
		})
	}
}

// What is wrong with the record says nothing of the instances.
func TestARecordThatCannotBeWrittenIsNotSaidToBeOfEveryInstance(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		hosts[0].NextBehavior = func(string) simhost.Behavior {
			f.AddInstance(localaws.Instance{ID: ids[1], Stopped: true, Machine: hosts[1]})
			f.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: "current.json", Error: &localaws.Error{Status: 403, Code: "AccessDenied", Message: "denied"}})
			return simhost.Behavior{}
		}
		_, err := f.runPlan(f.planInWaves("0.1.30-dev", ids...))
		wantErrorParts(t, err, "instance i-02 (name-of-i-02): not-deployed", "0.1.30-dev runs, and was not recorded as current: write s3://")
		if strings.Contains(err.Error(), "every instance runs") {
			t.Error(err)
		}
	})
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

// It never got the release, and what it runs instead is in order.
func TestInstanceThatMissedItsWaveIsNotCalledDeployed(t *testing.T) {
	for name, back := range map[string]bool{"gone for good": false, "back in a later wave": true} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(3, "")
				f.deployVersions(ids, "0.1.29-dev")
				set := func(stopped bool) {
					f.AddInstance(localaws.Instance{ID: ids[1], Name: "name-of-i-02", Stopped: stopped, Machine: hosts[1]})
				}
				hosts[0].NextBehavior = func(string) simhost.Behavior { set(true); return simhost.Behavior{} }
				hosts[2].NextBehavior = func(string) simhost.Behavior { set(!back); return simhost.Behavior{} }
				f.buildImage("program of 0.1.30-dev")
				plan := f.plan("0.1.30-dev", ids...)
				plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Hosts: 2}, {Percent: 100}}
				result, err := f.runPlan(plan)
				wantErrorParts(t, err, "every other instance runs 0.1.30-dev, and keeps it", "instance i-02 (name-of-i-02): not-deployed: is stopped, or not managed by SSM")
				if got := states(result); got != "i-01 deployed, i-02 not-deployed, i-03 deployed" || result.Status != rollout.OutcomeFailed || installedVersions(hosts) != "0.1.30 0.1.29 0.1.30" {
					t.Errorf("%s: %s, the hosts run %s", result.Status, got, installedVersions(hosts))
				}
				if current, err := f.locks.ReadCurrent(t.Context()); err != nil || current.Verified {
					t.Errorf("%+v, %v", current, err)
				}
			})
		})
	}
}
