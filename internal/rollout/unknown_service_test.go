package rollout_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/rollout"
)

func TestAnUnknownServiceIsAnErrorAndLeavesNothing(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		status := f.rollbackPlan("", ids...)
		status.Operation = rollout.Status
		for _, plan := range []rollout.Plan{status, f.rollbackPlan("", ids...), f.rollbackPlan("0.1.2-dev", ids...)} {
			result, err := f.runPlan(plan)
			wantErrorParts(t, err, "nobody knows the service atta in dev: no release of it is installed on 2 instances, and none is recorded")
			if result.Status != rollout.OutcomeFailed || hosts[0].State().Generation+hosts[1].State().Generation != 0 {
				t.Errorf("%s %s: %+v", plan.Operation, result.Status, hosts[0].State())
			}
		}
		for _, call := range f.Calls() {
			if call.Operation == "s3:PutObject" {
				t.Errorf("%s was written", call.Resource)
			}
		}
	})
}

func TestARollbackAfterAFirstDeploySaysThatThereIsNothing(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, _ := f.addHosts(2, "")
		f.deployVersions(ids, "0.1.28-dev")
		_, err := f.runPlan(f.rollbackPlan("", ids...))
		wantErrorParts(t, err,
			"instance i-01 (name-of-i-01) has nothing to roll back to: no release before 0.1.28-dev was seen healthy there",
			"instance i-02 (name-of-i-02) has nothing to roll back to: no release before 0.1.28-dev was seen healthy there")
		if !errors.Is(err, rollout.ErrNoPrevious) {
			t.Error("the hint does not know the error")
		}
	})
}

// The image is the same, and what was around it was not.
func TestAVersionThatWasHealthyIsNotRefusedForAnotherOneOfItsImage(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(1, "")
		f.deployVersions(ids, "0.1.28-dev", "0.1.29-dev")
		f.buildImage("program of 0.1.28-dev")
		hosts[0].NextBehavior = unhealthy
		if _, err := f.runPlan(f.plan("0.1.30-dev", ids...)); err == nil {
			t.Fatal("an unhealthy release was deployed")
		}
		hosts[0].NextBehavior = healthy
		plan := f.plan("0.1.28-dev", ids...)
		plan.DeploymentID, plan.Rollout.Policy.AllowDowngrade = "again", true
		if _, err := f.runPlan(plan); err != nil || !strings.HasPrefix(hosts[0].State().Version, "0.1.28") {
			t.Errorf("%s runs: %v", hosts[0].State().Version, err)
		}
	})
}
