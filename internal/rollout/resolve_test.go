package rollout_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// loseAnswers makes SSM lose the answer of an instance to a deploy, which it runs that often.
func loseAnswers(runs int) func(localaws.Invocation) *localaws.DeliveryFault {
	return func(i localaws.Invocation) *localaws.DeliveryFault {
		if !strings.Contains(i.Script, "\nset -- deploy ") && !strings.Contains(i.Script, "\nset -- rollback ") {
			return nil
		}
		return &localaws.DeliveryFault{Status: "DeliveryTimedOut", Code: -1, Runs: runs}
	}
}

func TestHostIsAskedAgainWhenItsAnswerIsLost(t *testing.T) {
	for name, test := range map[string]struct {
		runs     int
		behavior func(string) simhost.Behavior
		state    rollout.State
		says     string
	}{
		"deployed":        {1, healthy, rollout.Deployed, "its answer was lost; asked again, it runs 0.1.30-dev"},
		"deployed twice":  {2, healthy, rollout.Deployed, "its answer was lost; asked again, it runs 0.1.30-dev"},
		"rolled back":     {1, unhealthy, rollout.RolledBack, "asked again, it reports that it rolled back, and runs 0.1.29-dev"},
		"refused":         {1, func(string) simhost.Behavior { return simhost.Behavior{Refusal: "no room"} }, rollout.NotDeployed, "asked again, it reports that it refused"},
		"rollback failed": {1, func(string) simhost.Behavior { return simhost.Behavior{RollbackFails: true} }, rollout.RollbackFailed, "it could not roll back"},
		"never delivered": {0, healthy, rollout.NotDeployed, "the command never reached it and would be refused now; it runs 0.1.29-dev"},
	} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				host := simhost.New("0.1.29-dev", digestOf("0.1.29-dev"))
				host.NextBehavior = test.behavior
				f.AddInstance(localaws.Instance{ID: "i-1", Machine: host, InjectFault: loseAnswers(test.runs)})
				result, err := f.runPlan(f.plan("0.1.30-dev", "i-1"))
				got := result.Hosts[0]
				if got.State != test.state || !strings.Contains(got.Message, test.says) || (err == nil) != (test.state == rollout.Deployed) {
					t.Errorf("%s: %s, %v", got.State, got.Message, err)
				}
				if n := host.State().Changes; n > 1 {
					t.Errorf("deployed %d times", n)
				}
				if host.State().Generation != 2 {
					t.Errorf("the host is not fenced: generation %d", host.State().Generation)
				}
			})
		})
	}
}

func TestImageIsQuarantinedAlsoWhenTheAnswerIsLost(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		host := simhost.New("0.1.29-dev", digestOf("0.1.29-dev"))
		host.NextBehavior = unhealthy
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: host, InjectFault: loseAnswers(1)})
		result, _ := f.runPlan(f.plan("0.1.30-dev", "i-1"))
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || current.FindQuarantine(result.Image.Digest) == nil {
			t.Errorf("%s: %+v, %v", states(result), current, err)
		}
	})
}

// What the instance has gone back to is down when it is asked, so that its state is unknown; that of the image is not.
func TestImageIsQuarantinedAlsoWhenTheInstanceIsDownAfterItsRollback(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		host := simhost.New("0.1.29-dev", digestOf("0.1.29-dev"))
		host.NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Unhealthy: true, Duration: time.Minute} }
		time.AfterFunc(30*time.Second, func() { host.SetDrift("inactive") })
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: host, InjectFault: loseAnswers(1)})
		result, _ := f.runPlan(f.plan("0.1.30-dev", "i-1"))
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || states(result) != "i-1 unknown" || current.FindQuarantine(result.Image.Digest) == nil {
			t.Errorf("%s: %+v, %v", states(result), current, err)
		}
	})
}

// An instance is down after its rollback. Its report from before the run says if it was down then, too.
func TestOnlyWhatDidNotRunBeforeIsSaidToHaveBeenDown(t *testing.T) {
	for word, state := range map[string]rollout.State{
		"inactive": rollout.RolledBack, "container": rollout.RolledBack,
		"restarts": rollout.Unknown, "engine": rollout.Unknown, "cut-off": rollout.Unknown,
	} {
		t.Run(word, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				host := simhost.New("0.1.29-dev", digestOf("0.1.29-dev"))
				host.NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Unhealthy: true, Duration: time.Minute} }
				host.SetDrift(word)
				time.AfterFunc(30*time.Second, func() { host.SetDrift("inactive") })
				f.AddInstance(localaws.Instance{ID: "i-1", Machine: host, InjectFault: loseAnswers(1)})
				result, _ := f.runPlan(f.plan("0.1.30-dev", "i-1"))
				if got := result.Hosts[0]; got.State != state || (state == rollout.RolledBack) != strings.Contains(got.Message, "has 0.1.29-dev, which was down before") {
					t.Errorf("%s: %s", got.State, got.Message)
				}
			})
		})
	}
}

// A command whose delivery timed out reaches the host after the status command.
func TestLateCommandIsRefusedAfterAStatusCommand(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		host := simhost.New("0.1.29-dev", digestOf("0.1.29-dev"))
		var late atomic.Bool
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: host, InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if strings.Contains(i.Script, "\nset -- deploy ") {
				late.Store(true)
				return &localaws.DeliveryFault{Status: "DeliveryTimedOut", Code: -1, StatusFirst: true, Delay: 4 * time.Second}
			}
			return nil
		}})
		result, err := f.runPlan(f.plan("0.1.30-dev", "i-1"))
		if err == nil || result.Hosts[0].State != rollout.NotDeployed || !late.Load() {
			t.Fatalf("%s: %v", result.Hosts[0].State, err)
		}
		time.Sleep(5 * time.Second)
		if got := host.State(); got.Version != "0.1.29-dev" || got.Changes != 0 || !strings.HasPrefix(got.Command, "deploy ") {
			t.Errorf("the host runs %s after %d changes", got.Version, got.Changes)
		}
	})
}

// SSM accepts a command twice, since the reply to the first was lost; the second, which is
// followed, cannot be delivered, and the first one arrives late.
func TestHostIsAskedWhenACopyOfItsCommandMayArrive(t *testing.T) {
	for name, test := range map[string]struct {
		first localaws.DeliveryFault
		state rollout.State
	}{
		"it has arrived":  {localaws.DeliveryFault{}, rollout.Deployed},
		"it arrives late": {localaws.DeliveryFault{Delay: time.Minute}, rollout.NotDeployed},
	} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				host := simhost.New("0.1.29-dev", digestOf("0.1.29-dev"))
				var copies atomic.Int64
				f.AddInstance(localaws.Instance{ID: "i-1", Machine: host, InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
					if !strings.Contains(i.Script, "\nset -- deploy ") {
						f.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Times: 1, DropReply: true}) // of the deploy, which is next
						return nil
					}
					if copies.Add(1) == 1 {
						return &test.first
					}
					return &localaws.DeliveryFault{Status: "Undeliverable"}
				}})
				result, _ := f.runPlan(f.plan("0.1.30-dev", "i-1"))
				if got := result.Hosts[0]; got.State != test.state || copies.Load() != 2 {
					t.Errorf("%s: %s after %d copies", got.State, got.Message, copies.Load())
				}
				time.Sleep(2 * time.Minute)
				if got := host.State(); (got.Version == "0.1.30-dev") != (test.state == rollout.Deployed) {
					t.Errorf("the host runs %s", got.Version)
				}
			})
		})
	}
}

func TestRolloutStopsWhenAHostIsUnknown(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(4, "0.1.29-dev")
		f.AddInstance(localaws.Instance{ID: "i-01", Name: "name-of-i-01", Machine: hosts[0], InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if !strings.Contains(i.Script, "\nset -- deploy ") {
				return nil
			}
			f.AddInstance(localaws.Instance{ID: "i-01", Name: "name-of-i-01", PingStatus: "ConnectionLost"})
			return &localaws.DeliveryFault{Status: "ExecutionTimedOut", Code: 137}
		}})
		plan := f.planInWaves("0.1.30-dev", ids...)
		ctx, stop := context.WithTimeout(t.Context(), 8*time.Second)
		defer stop()
		result, err := rollout.Run(ctx, plan, f, f.console)
		wantErrorParts(t, err, "instance i-01 (name-of-i-01): unknown: its answer is missing, and it is not online: the SSM agent's status is ConnectionLost")
		if result.Status != rollout.OutcomeUnknown || len(changedHosts(hosts)) != 0 {
			t.Errorf("%s, changed are %v", result.Status, changedHosts(hosts))
		}
	})
}
