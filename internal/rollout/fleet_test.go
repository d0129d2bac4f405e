package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// hosts adds n instances, i-01 and so on, on which that version runs.
func (f *fixture) hosts(n int, version string) (ids []string, list []*simhost.Host) {
	for i := range n {
		id := fmt.Sprintf("i-%02d", i+1)
		ids, list = append(ids, id), append(list, f.host(id, version))
	}
	return ids, list
}

// inWaves is a deploy in waves of 1, a quarter, and all.
func (f *fixture) inWaves(version string, ids ...string) rollout.Plan {
	plan := f.plan(version, ids...)
	plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 25}, {Percent: 100}}
	return plan
}

// changed are the numbers of the hosts that were made to run something else.
func changed(hosts []*simhost.Host) (list []int) {
	for i, host := range hosts {
		if host.State().Changes > 0 {
			list = append(list, i+1)
		}
	}
	return list
}

func TestARolloutGoesInWaves(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(10, "0.1.29-dev")
		var order []string
		for i, host := range hosts {
			host.NextBehavior = func(string) simhost.Behavior {
				f.console.Info("> %s", ids[i]) // in turn, since a wave waits for its command
				return simhost.Behavior{}
			}
		}
		result, err := f.deploy(f.inWaves("0.1.30-dev", ids...))
		if err != nil || result.Status != rollout.OutcomeSuccess {
			t.Fatal(err)
		}
		wantLines(t, "groups", f.console.groups, "Read", "Preflight", "Push image", "Upload bundle",
			"Roll out, wave 1 of 3: 1 instance", "Roll out, wave 2 of 3: 2 instances", "Roll out, wave 3 of 3: 7 instances", "Move tags")
		for _, host := range result.Hosts {
			order = append(order, fmt.Sprint(host.Wave))
		}
		if got := strings.Join(order, ""); got != "1223333333" || len(result.CommandIDs) != 3 {
			t.Errorf("waves are %s, %d commands", got, len(result.CommandIDs))
		}
		if got := f.console.values["command-ids"]; got != strings.Join(result.CommandIDs, ",") || f.console.saved["commands"] != got {
			t.Errorf("outputs are %v, saved is %v", f.console.values, f.console.saved)
		}
	})
}

func TestAnUnhealthyCanaryIsAllThatIsTouched(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(20, "0.1.29-dev")
		hosts[0].NextBehavior = unwell
		result, err := f.deploy(f.inWaves("0.1.30-dev", ids...))
		wantParts(t, err, "1 of 20 instances are not known to run the release", "instance i-01 (name-of-i-01): rolled-back: unhealthy; 0.1.29-dev is installed", "19 instances not touched")
		if got := changed(hosts); fmt.Sprint(got) != "[1]" || hosts[0].State().Version != "0.1.29-dev" || result.Status != rollout.OutcomeRolledBack || f.alias() != "" {
			t.Errorf("%s, changed are %v, i-01 runs %s", result.Status, got, hosts[0].State().Version)
		}
	})
}

func TestWhatAFailedWaveLeavesGoesBackAsFarAsThePlanSays(t *testing.T) {
	for name, test := range map[string]struct {
		new  int // hosts that run the new release in the end
		text string
	}{
		"all":  {0, "9 instances that ran it rolled back to the previous release"},
		"wave": {3, "6 instances that ran it rolled back to the previous release"},
		"none": {9, "instance i-08 (name-of-i-08): rolled-back: unhealthy"},
	} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.hosts(10, "0.1.29-dev")
				hosts[7].NextBehavior = unwell
				plan := f.inWaves("0.1.30-dev", ids...)
				plan.Rollout.RollbackOnFailure = name
				result, err := f.deploy(plan)
				wantParts(t, err, "1 of 10 instances are not known to run the release", test.text)
				n := 0
				for _, host := range hosts {
					if host.State().Version == "0.1.30-dev" {
						n++
					}
				}
				if n != test.new || result.Status == rollout.OutcomeSuccess {
					t.Errorf("%s, %d hosts run the new release: %s", result.Status, n, states(result))
				}
			})
		})
	}
}

func TestEachHostGoesBackToItsOwn(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(4, "0.1.28-dev")
		hosts[1].SetInstalled("0.1.29-dev", digestOf("0.1.29-dev"))
		empty := f.host("i-09", "")
		hosts[3].NextBehavior = unwell
		plan := f.plan("0.1.30-dev", append(ids, "i-09")...)
		result, err := f.deploy(plan)
		wantParts(t, err, "3 instances that ran it rolled back")
		for i, want := range []string{"0.1.28-dev", "0.1.29-dev", "0.1.28-dev", "0.1.28-dev"} {
			if got := hosts[i].State().Version; got != want {
				t.Errorf("host %d runs %s, want %s", i, got, want)
			}
		}
		last := result.Hosts[4]
		if empty.State().Version != "0.1.30-dev" || last.State != rollout.Deployed || !strings.Contains(last.Message, "it ran nothing before, so there is nothing to roll back to") {
			t.Errorf("%s %s: %s", empty.State().Version, last.State, last.Message)
		}
	})
}

func TestAHostThatCannotGoBackIsLoud(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(3, "0.1.29-dev")
		hosts[2].NextBehavior = unwell
		hosts[0].NextBehavior = func(version string) simhost.Behavior { return simhost.Behavior{Unhealthy: version == "0.1.29-dev"} }
		hosts[1].NextBehavior = func(version string) simhost.Behavior { return simhost.Behavior{RollbackFails: version == "0.1.29-dev"} }
		result, err := f.deploy(f.plan("0.1.30-dev", ids...))
		wantParts(t, err, "instance i-01 (name-of-i-01): rollback-failed: still runs 0.1.30-dev", "instance i-02 (name-of-i-02): rollback-failed")
		if result.Status != rollout.OutcomeRollbackFailed {
			t.Error(result.Status)
		}
	})
}

func TestARerunSkipsWhatRunsAlready(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(10, "0.1.29-dev")
		hosts[5].NextBehavior = unwell
		plan := f.inWaves("0.1.30-dev", ids...)
		plan.Rollout.RollbackOnFailure, plan.Rollout.Policy.AllowQuarantined = "none", true
		if _, err := f.deploy(plan); err == nil {
			t.Fatal("it went well")
		}
		before := make([]int, len(hosts))
		for i, host := range hosts {
			before[i] = host.State().Changes
		}
		hosts[5].NextBehavior = well
		plan.DeploymentID = "d-2"
		result, err := f.deploy(plan)
		if err != nil || states(result) != strings.Join([]string{"i-01 deployed, i-02 deployed, i-03 deployed, i-04 deployed, i-05 deployed, i-06 deployed, i-07 deployed, i-08 deployed, i-09 deployed, i-10 deployed"}, "") {
			t.Fatalf("%s: %v", states(result), err)
		}
		for i, host := range hosts {
			if more := host.State().Changes - before[i]; (more == 1) != (i == 5) {
				t.Errorf("host %d was changed %d times more", i+1, more)
			}
		}
		wantLines(t, "the last command went to", f.changes()[len(f.changes())-2:], "ssm:SendCommand i-06", "registry:PUT manifest atta:latest-dev")
		// Once more, and there is nothing to do at all.
		plan.DeploymentID = "d-3"
		result, err = f.deploy(plan)
		if err != nil || len(result.CommandIDs) != 0 || result.Status != rollout.OutcomeSuccess {
			t.Errorf("%s after commands %v: %v", result.Status, result.CommandIDs, err)
		}
	})
}

func TestADriftedHostIsDeployedToAgain(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(2, "0.1.29-dev")
		if _, err := f.deploy(f.plan("0.1.30-dev", ids...)); err != nil {
			t.Fatal(err)
		}
		hosts[1].SetDrift("unit-file")
		again := f.plan("0.1.30-dev", ids...)
		again.DeploymentID = "d-2"
		if _, err := f.deploy(again); err != nil || hosts[0].State().Changes != 1 || hosts[1].State().Changes != 2 {
			t.Errorf("%v, changed %d and %d times", err, hosts[0].State().Changes, hosts[1].State().Changes)
		}
	})
}

// lost makes SSM lose what an instance answers to a deploy, and lets it run as often.
func lost(runs int) func(localaws.Invocation) *localaws.DeliveryFault {
	return func(i localaws.Invocation) *localaws.DeliveryFault {
		if !strings.Contains(i.Script, "\nset -- deploy ") && !strings.Contains(i.Script, "\nset -- rollback ") {
			return nil
		}
		return &localaws.DeliveryFault{Status: "DeliveryTimedOut", Code: -1, Runs: runs}
	}
}

func TestALostAnswerIsAskedFor(t *testing.T) {
	for name, test := range map[string]struct {
		runs  int
		next  func(string) simhost.Behavior
		state rollout.State
		says  string
	}{
		"it had worked":        {1, well, rollout.Deployed, "its answer was lost; asked again, it runs 0.1.30-dev"},
		"it worked twice":      {2, well, rollout.Deployed, "its answer was lost; asked again, it runs 0.1.30-dev"},
		"it had gone back":     {1, unwell, rollout.RolledBack, "asked again, it reports that it rolled back, and runs 0.1.29-dev"},
		"it had refused":       {1, func(string) simhost.Behavior { return simhost.Behavior{Refusal: "no room"} }, rollout.NotDeployed, "asked again, it reports that it refused"},
		"it could not go":      {1, func(string) simhost.Behavior { return simhost.Behavior{RollbackFails: true} }, rollout.RollbackFailed, "it could not roll back"},
		"it was never reached": {0, well, rollout.NotDeployed, "the command never reached it and would be refused now; it runs 0.1.29-dev"},
	} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				host := simhost.New("0.1.29-dev", digestOf("0.1.29-dev"))
				host.NextBehavior = test.next
				f.AddInstance(localaws.Instance{ID: "i-1", Machine: host, InjectFault: lost(test.runs)})
				result, err := f.deploy(f.plan("0.1.30-dev", "i-1"))
				got := result.Hosts[0]
				if got.State != test.state || !strings.Contains(got.Message, test.says) || (err == nil) != (test.state == rollout.Deployed) {
					t.Errorf("%s: %s, %v", got.State, got.Message, err)
				}
				if n := host.State().Changes; n > 1 {
					t.Errorf("deployed %d times", n)
				}
				if host.State().Generation != 2 {
					t.Errorf("the door is not closed: generation %d", host.State().Generation)
				}
			})
		})
	}
}

// The command that was never seen to arrive comes after the question.
func TestACommandThatComesAfterTheQuestionIsNotCarriedOut(t *testing.T) {
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
		result, err := f.deploy(f.plan("0.1.30-dev", "i-1"))
		if err == nil || result.Hosts[0].State != rollout.NotDeployed || !late.Load() {
			t.Fatalf("%s: %v", result.Hosts[0].State, err)
		}
		time.Sleep(5 * time.Second)
		if got := host.State(); got.Version != "0.1.29-dev" || got.Changes != 0 || !strings.HasPrefix(got.Command, "deploy ") {
			t.Errorf("the command came late, and the host runs %s after %d changes", got.Version, got.Changes)
		}
	})
}

func TestAHostThatHasGoneIsUnknownAndStopsTheWave(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(4, "0.1.29-dev")
		f.AddInstance(localaws.Instance{ID: "i-01", Name: "name-of-i-01", Machine: hosts[0], InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if !strings.Contains(i.Script, "\nset -- deploy ") {
				return nil
			}
			f.AddInstance(localaws.Instance{ID: "i-01", Name: "name-of-i-01", PingStatus: "ConnectionLost"})
			return &localaws.DeliveryFault{Status: "ExecutionTimedOut", Code: 137}
		}})
		plan := f.inWaves("0.1.30-dev", ids...)
		ctx, stop := context.WithTimeout(t.Context(), 8*time.Second)
		defer stop()
		result, err := rollout.Run(ctx, plan, f, f.console)
		wantParts(t, err, "instance i-01 (name-of-i-01): unknown: its answer is missing, and it is not online: the SSM agent's status is ConnectionLost")
		if result.Status != rollout.OutcomeUnknown || len(changed(hosts)) != 0 {
			t.Errorf("%s, changed are %v", result.Status, changed(hosts))
		}
	})
}

func TestTagsSayWhichInstances(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		dev := map[string]string{"Environment": "dev"}
		one, other := simhost.New("0.1.29-dev", digestOf("x")), simhost.New("0.1.29-dev", digestOf("x"))
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: one, Tags: dev})
		f.AddInstance(localaws.Instance{ID: "i-2", Machine: other, Tags: map[string]string{"Environment": "prod"}})
		plan := f.plan("0.1.30-dev")
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		plan.Targets.MinInstances = 2
		_, err := f.deploy(plan)
		wantParts(t, err, "1 instance found, min-instances is 2: i-1")
		plan.Targets.Tags[0].Value = "staging"
		_, err = f.deploy(plan)
		if !errors.Is(err, fleet.ErrNoInstance) {
			t.Error(err)
		}
		wantLines(t, "changes", f.changes())
		plan.Targets.Tags[0].Value, plan.Targets.MinInstances = "dev", 1
		if result, err := f.deploy(plan); err != nil || states(result) != "i-1 deployed" || other.State().Changes != 0 {
			t.Errorf("%s: %v", states(result), err)
		}
	})
}

func TestAnInstanceThatComesMeanwhileGetsTheReleaseToo(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		dev := map[string]string{"Environment": "dev"}
		first, second := simhost.New("0.1.29-dev", digestOf("x")), simhost.New("", "")
		first.NextBehavior = func(string) simhost.Behavior {
			f.AddInstance(localaws.Instance{ID: "i-2", Machine: second, Tags: dev})
			return simhost.Behavior{}
		}
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: first, Tags: dev})
		plan := f.plan("0.1.30-dev")
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		result, err := f.deploy(plan)
		if err != nil || states(result) != "i-1 deployed, i-2 deployed" || second.State().Version != "0.1.30-dev" {
			t.Errorf("%s: %v", states(result), err)
		}
		if !slices.Contains(f.console.groups, "Roll out to new instances: 1 instance") {
			t.Errorf("groups are %q", f.console.groups)
		}
	})
}

func TestAnInstanceThatComesMeanwhileAndCannotBeReachedIsNamed(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		dev := map[string]string{"Environment": "dev"}
		first := simhost.New("0.1.29-dev", digestOf("x"))
		first.NextBehavior = func(string) simhost.Behavior {
			f.AddInstance(localaws.Instance{ID: "i-2", PingStatus: "Inactive", Tags: dev})
			return simhost.Behavior{}
		}
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: first, Tags: dev})
		plan := f.plan("0.1.30-dev")
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		result, err := f.deploy(plan)
		wantParts(t, err, "new instance: instance i-2 is not online")
		if result.Status == rollout.OutcomeSuccess || f.alias() != "" {
			t.Error(result.Status)
		}
	})
}

func TestAnImageThatWasUnhealthyIsQuarantinedForTheWholeFleet(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(2, "0.1.29-dev")
		hosts[0].NextBehavior = unwell
		plan := f.inWaves("0.1.30-dev", ids...)
		if _, err := f.deploy(plan); err == nil {
			t.Fatal("it went well")
		}
		hosts[0].NextBehavior = well
		plan.DeploymentID = "d-2"
		_, err := f.deploy(plan)
		var quarantined *rollout.QuarantineError
		if !errors.As(err, &quarantined) || quarantined.Version != "0.1.30-dev" || hosts[1].State().Changes != 0 {
			t.Errorf("error is %v, changed are %v", err, changed(hosts))
		}
		plan.Rollout.Policy.AllowQuarantined, plan.DeploymentID = true, "d-3"
		if _, err := f.deploy(plan); err != nil {
			t.Fatal(err)
		}
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || len(current.Quarantined) != 0 || current.Version != "0.1.30-dev" {
			t.Errorf("%+v, %v", current, err)
		}
	})
}

func TestAnOlderVersionThanWhatShouldRunIsRefusedWhereverItIsNot(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.host("i-1", "0.1.29-dev")
		if _, err := f.deploy(f.plan("0.1.31-dev", "i-1")); err != nil {
			t.Fatal(err)
		}
		fresh := f.host("i-2", "")
		_, err := f.deploy(f.plan("0.1.30-dev", "i-2"))
		var downgrade *release.DowngradeError
		if !errors.As(err, &downgrade) || downgrade.Instance != "the instances of dev" || fresh.State().Changes != 0 {
			t.Error(err)
		}
		plan := f.plan("0.1.30-dev", "i-2")
		plan.Rollout.Policy.AllowDowngrade = true
		if _, err := f.deploy(plan); err != nil {
			t.Error(err)
		}
	})
}

// A runner's clock that is wrong must not make commands too late, or good for ever.
func TestTheTimeLimitOfACommandIsByAWSsClock(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		host := f.host("i-1", "0.1.29-dev")
		f.skew = 2 * time.Hour
		plan := f.plan("0.1.30-dev", "i-1")
		plan.Deadline = time.Now().Add(-time.Hour) // by a clock that is two hours behind
		if _, err := f.deploy(plan); err != nil {
			t.Error(err)
		}
		if want := fmt.Sprintf("--not-after=%d ", plan.Deadline.Add(2*time.Hour).Unix()); !strings.Contains(host.State().Command, want) {
			t.Errorf("%s is not in %s", want, host.State().Command)
		}
		if log := strings.Join(f.console.log, "\n"); !strings.Contains(log, "This machine's clock is wrong: AWS's clock is 2h0m0s ahead") {
			t.Error(log)
		}
	})
}
