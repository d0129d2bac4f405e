package rollout_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// The first instance of a rollback in waves dies while it rolls back, and may be back later. The others run the bad release.
func TestAnInstanceThatDiesInARollbackDoesNotKeepTheOthersOnTheBadRelease(t *testing.T) {
	for name, returns := range map[string]bool{"it stays away": false, "it returns": true} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(4, "0.1.28-dev")
				f.deployVersions(ids, "0.1.29-dev")
				f.loseInRollback(ids[0], hosts[0])
				hosts[3].NextBehavior = func(string) simhost.Behavior {
					if returns {
						f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: hosts[0]})
					}
					return simhost.Behavior{}
				}
				plan := f.rollbackPlan("", ids...)
				plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 100}}
				result, err := f.runPlan(plan)
				wantErrorParts(t, err, "every other instance runs 0.1.28-dev, and keeps it")
				if installedVersions(hosts[1:]) != "0.1.28 0.1.28 0.1.28" {
					t.Errorf("%s: the others run %s: %v", states(result), installedVersions(hosts[1:]), err)
				}
			})
		})
	}
}

// loseInRollback makes an instance disappear as soon as it gets the command to roll back.
func (f *fixture) loseInRollback(id string, host *simhost.Host) {
	f.AddInstance(localaws.Instance{ID: id, Name: "name-of-" + id, Machine: host, InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
		if !strings.Contains(i.Script, "\nset -- rollback ") {
			return nil
		}
		f.AddInstance(localaws.Instance{ID: id, Name: "name-of-" + id, PingStatus: "ConnectionLost"})
		return &localaws.DeliveryFault{Status: "ExecutionTimedOut", Code: 137}
	}})
}

// In one wave, those that hold the release come first; one that dies does not keep it from those that lack it.
func TestAnInstanceThatDiesInARollbackDoesNotKeepItFromThoseThatLackTheRelease(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "")
		f.deployVersions(ids, "0.1.28-dev", "0.1.29-dev")
		hosts[2].ForgetReleases()
		f.loseInRollback(ids[0], hosts[0])
		result, err := f.runPlan(f.rollbackPlan("0.1.28-dev", ids...))
		if err == nil || installedVersions(hosts[1:]) != "0.1.28 0.1.28" {
			t.Errorf("%s: the others run %s: %v", states(result), installedVersions(hosts[1:]), err)
		}
	})
}
