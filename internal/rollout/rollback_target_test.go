package rollout_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// A rollback brings the earlier release to a new instance, which does not hold it, and does not make the bad one the release before it.
func TestARollbackThatIsStartedAgainDoesNotGoForward(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		f.deployVersions(ids[:1], "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		hosts[0].NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Refusal: "a job runs"} }
		_, err := f.runPlan(f.rollbackPlan("", ids...))
		wantErrorParts(t, err, "every other instance runs 0.1.28-dev")
		hosts[0].NextBehavior = healthy
		plan := f.rollbackPlan("", ids...)
		plan.DeploymentID = "rollback-2"
		if result, err := f.runPlan(plan); err != nil || installedVersions(hosts) != "0.1.28 0.1.28" {
			t.Errorf("%s, %s: the hosts run %s: %v", result.Status, states(result), installedVersions(hosts), err)
		}
		plan.DeploymentID = "rollback-3"
		plan.Release.Version = f.rollbackPlan("", ids...).Release.Version
		_, err = f.runPlan(plan)
		wantErrorParts(t, err, "nothing to roll back to")
		if installedVersions(hosts) != "0.1.28 0.1.28" {
			t.Errorf("the hosts run %s", installedVersions(hosts))
		}
	})
}

// After a downgrade, the release before is a newer one, and a new instance knows of none.
func TestARollbackOfADowngradeIsAQuestionWhenNotEveryInstanceKnowsIt(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		f.deployVersions(ids[:1], "0.1.28-dev", "0.1.29-dev")
		plan := f.plan("0.1.28-dev", ids...)
		plan.DeploymentID, plan.Holder.Deployment = "d-downgrade", "d-downgrade"
		plan.Rollout.Policy.AllowDowngrade = true
		f.buildImage("program of 0.1.28-dev")
		if _, err := f.runPlan(plan); err != nil {
			t.Fatal(err)
		}
		_, err := f.runPlan(f.rollbackPlan("", ids...))
		wantErrorParts(t, err, "do not agree which version was healthy before 0.1.28-dev", "set version")
		if installedVersions(hosts) != "0.1.28 0.1.28" {
			t.Errorf("the hosts run %s", installedVersions(hosts))
		}
	})
}

// manyReleases is a host that holds more releases than the twenty that it lists (keep-releases may be 100): the oldest verified one is
// not among them, and is described when it is asked about.
type manyReleases struct{ *simhost.Host }

func (h manyReleases) Run(ctx context.Context, script string, env []string) localaws.Exit {
	exit := h.Host.Run(ctx, script, env)
	exit.Stdout = bytes.ReplaceAll(exit.Stdout, []byte(`,"0.1.27-dev"]`), []byte(`]`))
	return exit
}

func TestARollbackGoesToAReleaseThatIsHeldAndVerifiedAndNotListed(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		for i, id := range ids {
			f.AddInstance(localaws.Instance{ID: id, Name: "name-of-" + id, Machine: manyReleases{hosts[i]}})
		}
		f.deployVersions(ids, "0.1.27-dev", "0.1.28-dev", "0.1.29-dev")
		result, err := f.runPlan(f.rollbackPlan("0.1.27-dev", ids...))
		if err != nil || installedVersions(hosts) != "0.1.27 0.1.27" {
			t.Errorf("%s: the hosts run %s: %v", states(result), installedVersions(hosts), err)
		}
	})
}

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
