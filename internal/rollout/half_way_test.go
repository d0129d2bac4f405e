package rollout_test

import (
	"testing"
)

// An earlier version was deployed on purpose to one of two instances (allow-downgrade), and turns out to be bad. The other one still runs
// the newer version. A rollback must not bring the bad one to both.
func TestARollbackOfADowngradeDoesNotSpreadIt(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		f.deployVersions(ids, "0.1.28-dev", "0.1.29-dev")
		plan := f.plan("0.1.28-dev", ids[0])
		plan.DeploymentID, plan.Holder.Deployment = "d-downgrade", "d-downgrade"
		plan.Rollout.Policy.AllowDowngrade = true
		f.buildImage("program of 0.1.28-dev")
		if _, err := f.runPlan(plan); err != nil {
			t.Fatal(err)
		}
		result, err := f.runPlan(f.rollbackPlan("", ids...))
		t.Logf("%s: the hosts run %s: %v", states(result), installedVersions(hosts), err)
		if hosts[1].State().Version != "0.1.29-dev" {
			t.Errorf("%s: the hosts run %s: %v", states(result), installedVersions(hosts), err)
		}
	})
}
