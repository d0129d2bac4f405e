package rollout_test

import (
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// An instance that a rollback has left out returns before its end, busy. If it had stayed away, what the others run would be
// recorded.
func TestARollbackIsRecordedAlsoIfAnInstanceReturnsAndRefuses(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		set := func(i int, status string) {
			f.AddInstance(localaws.Instance{ID: ids[i], PingStatus: status, Machine: hosts[i], Tags: map[string]string{"Environment": "dev"}})
		}
		set(0, "Online")
		set(1, "Online")
		set(2, "ConnectionLost")
		hosts[0].NextBehavior = func(string) simhost.Behavior {
			set(2, "Online")
			return simhost.Behavior{}
		}
		hosts[2].NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Refusal: "a job runs"} }
		plan := f.rollbackPlan("")
		plan.Image.Tags = nil
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "i-03: not-deployed: a job runs")
		if installedVersions(hosts) != "0.1.28 0.1.28 0.1.29" {
			t.Fatal(installedVersions(hosts))
		}
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || current.Version != "0.1.28-dev" {
			t.Errorf("%s; recorded is %s, %v", states(result), current.Version, err)
		}
	})
}
