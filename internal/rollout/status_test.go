package rollout_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
)

// statusPlan is a status of the instances.
func (f *fixture) statusPlan(ids ...string) rollout.Plan {
	plan := f.rollbackPlan("", ids...)
	plan.Operation, plan.DeploymentID = rollout.Status, "status-1"
	return plan
}

func TestStatusReportsDriftAndChangesNothing(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(4, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		hosts[1].SetDrift("unit-file", "container")
		hosts[2].SetInstalled("0.1.28-dev", digestOf("0.1.28-dev"))
		hosts[3].SetInstalled("0.1.29-dev", digestOf("something else"))
		f.AddInstance(localaws.Instance{ID: "i-05", PingStatus: "ConnectionLost"})
		f.AddInstance(localaws.Instance{ID: "i-06"}) // prints nothing
		f.holdLock()
		from, generation := len(f.Calls()), hosts[0].State().Generation
		plan := f.statusPlan(append(ids, "i-05", "i-06")...)
		result, err := f.runPlan(plan)
		if err != nil || result.Status != rollout.OutcomeSuccess {
			t.Fatalf("%s: %v", result.Status, err)
		}
		if got := states(result); got != "i-01 in-sync, i-02 drifted, i-03 drifted, i-04 drifted, i-06 unknown, i-05 unknown" {
			t.Error(got)
		}
		for i, part := range []string{
			"runs 0.1.29-dev, verified since 20", "; differs in unit-file, container", "; differs in version; should run 0.1.29-dev", "; differs in digest",
			"no result line", "is not online",
		} {
			if got := result.Hosts[i].Message; !strings.Contains(got, part) {
				t.Errorf("%d: %q is not in %q", i, part, got)
			}
		}
		for _, call := range f.Calls()[from:] {
			if call.Operation == "s3:PutObject" || strings.HasPrefix(call.Operation, "registry:PUT") {
				t.Errorf("wrote %s", call.Resource)
			}
		}
		if got := hosts[0].State(); got.Generation != generation {
			t.Errorf("the status command fenced the host: generation %d", got.Generation)
		}
		if log := strings.Join(f.console.log, "\n"); !strings.Contains(log, "A deploy is under way: the lock is held by deployment the-other") {
			t.Error(log)
		}
		plan.FailOnDrift = true
		result, err = f.runPlan(plan)
		var drift *rollout.DriftError
		if !errors.As(err, &drift) || len(drift.Hosts) != 5 || result.Status == rollout.OutcomeSuccess {
			t.Errorf("%s: %v", result.Status, err)
		}
		wantErrorParts(t, err, "5 of 6 instances out of sync", "instance i-02 (name-of-i-02): drifted: ")
	})
}

func TestStatusWithoutARecordOrWithAFailedUnitIsNotInSync(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.28-dev")
		plan := f.statusPlan(ids...)
		plan.FailOnDrift = true
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "2 of 2 instances out of sync", "differs in record; nothing is recorded that should run")
		if result.Status == rollout.OutcomeSuccess {
			t.Error(result.Status)
		}
		f.deployVersions(ids, "0.1.29-dev")
		hosts[1].SetUnitFailed()
		plan.DeploymentID = "status-2"
		result, err = f.runPlan(plan)
		wantErrorParts(t, err, "1 of 2 instances out of sync", "instance i-02 (name-of-i-02): drifted: ", "differs in unit-state")
		if got := states(result); got != "i-01 in-sync, i-02 drifted" {
			t.Error(got)
		}
	})
}

func TestStatusFailsIfNoInstanceCanBeAsked(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, _ := f.addHosts(2, "0.1.29-dev")
		f.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Times: 10, Error: &localaws.Error{Status: 400, Code: "AccessDeniedException", Message: "not authorized to perform: ssm:SendCommand"}})
		plan := f.plan("0.1.29-dev", ids...)
		plan.Operation = rollout.Status
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "not authorized to perform: ssm:SendCommand")
		if result.Status == rollout.OutcomeSuccess {
			t.Error(result.Status)
		}
	})
}
