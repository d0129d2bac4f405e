package rollout_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/report"
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

// 0.1.30-dev was unhealthy on the second instance, and the first, which had got it, could not be told to roll back. Nobody is to
// be told to deploy it.
func TestTheRemedyOfAStatusIsNotToDeployTheReleaseThatFailed(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.28-dev")
		if _, err := f.runPlan(f.plan("0.1.29-dev", ids...)); err != nil {
			t.Fatal(err)
		}
		f.buildImage("another program")
		hosts[1].NextBehavior = unhealthy
		f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: hosts[0], InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if strings.Contains(i.Script, "\nset -- rollback ") {
				return &localaws.DeliveryFault{Status: "Undeliverable", Code: -1}
			}
			return nil
		}})
		plan := f.plan("0.1.30-dev", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 100}}
		result, err := f.runPlan(plan)
		if err == nil || installedVersions(hosts) != "0.1.30 0.1.29 0.1.29" {
			t.Fatal(states(result), installedVersions(hosts), err)
		}
		status := f.plan("0.1.30-dev", ids...)
		status.Operation, status.FailOnDrift, status.DeploymentID = rollout.Status, true, "d-status"
		result, err = f.runPlan(status)
		if !errors.As(err, new(*rollout.DriftError)) {
			t.Fatal(err)
		}
		hints := strings.Join(report.Hints(result, err), "\n")
		again := f.plan("0.1.30-dev", ids...)
		again.DeploymentID, again.Holder.Deployment = "d-again", "d-again"
		_, refused := f.runPlan(again)
		if strings.Contains(hints, "Deploy 0.1.30-dev again") {
			t.Errorf("the remedy is %q, and it ends with: %v", hints, refused)
		}
	})
}

// A run was cancelled, or could not write, after its last wave: every instance runs 0.1.30-dev, healthy, and 0.1.29-dev is
// recorded. Whoever follows what a status says must not be refused.
func TestTheRemedyOfAStatusAfterAnUnrecordedDeployCanBeFollowed(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, _ := f.addHosts(2, "0.1.28-dev")
		if _, err := f.runPlan(f.plan("0.1.29-dev", ids...)); err != nil {
			t.Fatal(err)
		}
		f.buildImage("another program")
		f.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: "current.json", Error: &localaws.Error{Status: 403, Code: "AccessDenied", Message: "denied"}})
		_, err := f.runPlan(f.plan("0.1.30-dev", ids...))
		wantErrorParts(t, err, "0.1.30-dev runs, and was not recorded as current")
		f.ClearFaults()

		status := f.plan("0.1.30-dev", ids...)
		status.Operation, status.FailOnDrift, status.DeploymentID = rollout.Status, true, "d-status"
		result, err := f.runPlan(status)
		if !errors.As(err, new(*rollout.DriftError)) {
			t.Fatal(err)
		}
		hints := strings.Join(report.Hints(result, err), "\n")
		if !strings.Contains(hints, "Deploy 0.1.30-dev again, which was not recorded") {
			t.Fatal(hints)
		}
		again := f.plan("0.1.30-dev", ids...)
		again.DeploymentID, again.Holder.Deployment = "d-again", "d-again"
		if result, err := f.runPlan(again); err != nil || result.Hosts[0].Changed {
			t.Errorf("the remedy is %q, and it ends with: %v", hints, err)
		}
		status.DeploymentID = "d-later"
		if _, err := f.runPlan(status); err != nil {
			t.Errorf("after the remedy: %v", err)
		}
	})
}
