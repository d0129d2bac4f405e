package rollout_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
)

func TestDryRunReportsThePlanAndChangesNothing(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(5, "0.1.29-dev")
		plan := f.planInWaves("0.1.30-dev", ids...)
		plan.DryRun = true
		result, err := f.runPlan(plan)
		if err != nil || result.Status != rollout.OutcomePlanned || len(changedHosts(hosts)) != 0 {
			t.Fatalf("%s, changed are %v: %v", result.Status, changedHosts(hosts), err)
		}
		wantLines(t, "groups", f.console.groups, "Read", "Preflight", "Plan")
		log := strings.Join(f.console.log, "\n")
		for _, part := range []string{
			"the image would be pushed as 0.1.30-dev", "the bundle would be written, sha256 ", "wave 1 of 3: 1 instance\n  i-01 (name-of-i-01) would go from 0.1.29-dev to 0.1.30-dev",
			"wave 2 of 3: 1 instance", "wave 3 of 3: 3 instances",
		} {
			if !strings.Contains(log, part) {
				t.Errorf("no %q in\n%s", part, log)
			}
		}
		wantLines(t, "changes", f.mutatingRequests(), "ssm:SendCommand i-01,i-02,i-03,i-04,i-05")
		if _, ok := f.Object(bucket, leasePrefix+"lock.json"); ok {
			t.Error("the lock was acquired")
		}
		f.deployVersions(ids[:2], "0.1.30-dev")
		f.buildImage("a program")
		f.buildImage("program of 0.1.30-dev")
		plan.DeploymentID = "d-2"
		f.holdLock()
		if _, err := f.runPlan(plan); err != nil {
			t.Fatal(err)
		}
		log = strings.Join(f.console.log, "\n")
		for _, part := range []string{"A deploy is under way", "is already stored, with the same bytes", "i-01 (name-of-i-01) runs 0.1.30-dev already: it would be checked", "wave 1 of 3: 1 instance\n  i-03"} {
			if !strings.Contains(log, part) {
				t.Errorf("no %q in\n%s", part, log)
			}
		}
		plan = f.plan("0.1.28-dev", ids...)
		plan.DryRun = true
		if result, err := f.runPlan(plan); err == nil || result.Status != rollout.OutcomeFailed {
			t.Errorf("a downgrade is planned: %s", result.Status)
		}
		back := f.rollbackPlan("", ids[:2]...)
		back.DryRun = true
		*f.console = console{}
		if result, err := f.runPlan(back); err != nil || result.Status != rollout.OutcomePlanned || installedVersions(hosts[:2]) != "0.1.30 0.1.30" {
			t.Errorf("%s: %v", result.Status, err)
		}
		wantLines(t, "groups", f.console.groups, "Preflight", "Plan")
	})
}

// Whoever may push to the repository can set the next version's tag. Only an image that a run
// has recorded need not be built.
func TestPlanNamesOnlyAnImageThatARunHasRecorded(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		push := f.plan("0.1.30-dev")
		push.Phases = inputs.Phases{Image: true}
		foreign := push
		foreign.Bundle.Bucket = "" // so nothing is recorded
		plan := push
		plan.DryRun = true
		for _, test := range []struct {
			before rollout.Plan
			says   string
			named  bool
		}{
			{foreign, "Build the image: no run of this action has recorded that it pushed", false},
			{push, "is in the registry: another image would be refused", true},
		} {
			if _, err := f.runPlan(test.before); err != nil {
				t.Fatal(err)
			}
			*f.console = console{}
			if _, err := f.runPlan(plan); err != nil {
				t.Fatal(err)
			}
			digest, named := f.console.values["image-digest"]
			if log := strings.Join(f.console.log, "\n"); !strings.Contains(log, test.says) || named != test.named {
				t.Errorf("image-digest is %q\n%s", digest, log)
			}
		}
		plan.Bundle.Bucket = ""
		*f.console = console{}
		if _, err := f.runPlan(plan); err != nil || f.console.values["image-digest"] != "" {
			t.Errorf("without a bucket, image-digest is %q: %v", f.console.values["image-digest"], err)
		}
	})
}
