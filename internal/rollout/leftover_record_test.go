package rollout_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// denyHistory makes S3 refuse every write to the history.
func (f *fixture) denyHistory() {
	f.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: "/history/", Error: &localaws.Error{Status: 403, Code: "AccessDenied", Message: "denied"}})
}

// cancelRun begins to deploy 0.1.30-dev and cancels the run while host is at work.
func (f *fixture) cancelRun(ids []string, host *simhost.Host) {
	started := make(chan struct{}, 2)
	host.NextBehavior = neverEnding(started)
	ctx, cancel := context.WithCancel(f.t.Context())
	go func() {
		<-started
		time.Sleep(time.Second)
		cancel()
	}()
	_, _ = rollout.Run(ctx, f.plan("0.1.30-dev", ids...), f, f.console)
}

// Without a record nobody knows which instances a killed run was about.
func TestPostStepClaimsNothingWithoutARecord(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		f.denyHistory()
		f.cancelRun(ids, hosts[0])
		result, err := f.runPostStep()
		wantErrorParts(t, err, "the history has no record of deployment d-0-1-30-dev")
		if held, err := f.locks.CurrentHolder(t.Context()); result.Idle || held != nil || err != nil {
			t.Errorf("%s: %s, the lock: %v, %v", result.Status, states(result), held, err)
		}
	})
}

func TestPostStepDoesNothingAfterACompletedRunThatIsNotRecorded(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, _ := f.addHosts(1, "0.1.29-dev")
		f.denyHistory()
		if _, err := f.runPlan(f.plan("0.1.30-dev", ids...)); err != nil {
			t.Fatal(err)
		}
		if result, err := f.runPostStep(); err != nil || !result.Idle {
			t.Errorf("%s: %v", states(result), err)
		}
	})
}

// Its end could not be written, and what the post step writes is what the run has come to.
func TestPostStepRecordsTheEndOfARunThatCouldNot(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		hosts[0].NextBehavior = func(string) simhost.Behavior {
			f.denyHistory()
			return simhost.Behavior{}
		}
		if _, err := f.runPlan(f.plan("0.1.30-dev", ids...)); err != nil {
			t.Fatal(err)
		}
		f.ClearFaults()
		result, err := f.runPostStep()
		var record rollout.Record
		found, problem := f.locks.ReadRecord(t.Context(), "d-0-1-30-dev", &record)
		if err != nil || problem != nil || !found || result.Status != rollout.OutcomeSuccess || record.Status != rollout.OutcomeSuccess {
			t.Errorf("%s: %s, the record says %s: %v, %v", result.Status, states(result), record.Status, err, problem)
		}
	})
}

// A rollback that failed on one instance says nothing of another one, which does not answer.
func TestPostStepDoesNotKnowASilentInstanceNextToAFailedRollback(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		hosts[0].NextBehavior = func(string) simhost.Behavior {
			return simhost.Behavior{RollbackFails: true, Duration: 10 * time.Second}
		}
		f.AddInstance(localaws.Instance{ID: ids[1], Name: "name-of-i-02", Machine: hosts[1], InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if !strings.Contains(i.Script, "\nset -- deploy ") {
				return nil
			}
			f.AddInstance(localaws.Instance{ID: ids[1], Name: "name-of-i-02", PingStatus: "ConnectionLost"})
			return &localaws.DeliveryFault{Status: "ExecutionTimedOut", Code: 137}
		}})
		f.denyHistory()
		result, _ := f.runPlan(f.plan("0.1.30-dev", ids...))
		if states(result) != "i-01 rollback-failed, i-02 unknown" {
			t.Fatal(states(result))
		}
		result, err := f.runPostStep()
		wantErrorParts(t, err, "the history has no record of deployment d-0-1-30-dev")
		if result.Idle {
			t.Error("the post step has nothing to do")
		}
	})
}

// What was down before the run is down after its rollback; the run knew that, and so does the post step.
func TestPostStepKnowsWhatWasDownBefore(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(1, "0.1.29-dev")
		hosts[0].SetDrift("inactive")
		f.cancelRun(ids, hosts[0])
		result, err := f.runPostStep()
		if got := result.Hosts[0]; got.State != rollout.RolledBack || !strings.Contains(got.Message, "has 0.1.29-dev, which was down before") {
			t.Errorf("%s: %s, %v", got.State, got.Message, err)
		}
	})
}
