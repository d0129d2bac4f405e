package rollout_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// planInWaves is a deploy in waves of one host, a quarter of them, and all.
func (f *fixture) planInWaves(version string, ids ...string) rollout.Plan {
	plan := f.plan(version, ids...)
	plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 25}, {Percent: 100}}
	return plan
}

// changedHosts are the numbers, from 1, of the hosts that a command has changed.
func changedHosts(hosts []*simhost.Host) (list []int) {
	for i, host := range hosts {
		if host.State().Changes > 0 {
			list = append(list, i+1)
		}
	}
	return list
}

func TestRolloutRunsInWaves(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(10, "0.1.29-dev")
		var order []string
		for i, host := range hosts {
			host.NextBehavior = func(string) simhost.Behavior {
				f.console.Info("> %s", ids[i]) // not concurrently with the run, which waits for the wave
				return simhost.Behavior{}
			}
		}
		result, err := f.runPlan(f.planInWaves("0.1.30-dev", ids...))
		if err != nil || result.Status != rollout.OutcomeSuccess {
			t.Fatal(err)
		}
		wantLines(t, "groups", f.console.groups, "Read", "Preflight", "Push image", "Upload bundle", "Check: 10 instances",
			"Roll out, wave 1 of 3: 1 instance", "Roll out, wave 2 of 3: 2 instances", "Check again: 1 instance",
			"Roll out, wave 3 of 3: 7 instances", "Check again: 3 instances", "Move tags")
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

func TestRerunChangesOnlyTheInstancesThatLackTheRelease(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(10, "0.1.29-dev")
		hosts[5].NextBehavior = unhealthy
		plan := f.planInWaves("0.1.30-dev", ids...)
		plan.Rollout.RollbackOnFailure, plan.Rollout.Policy.AllowQuarantined = "none", true
		if _, err := f.runPlan(plan); err == nil {
			t.Fatal("the deploy succeeded")
		}
		before := make([]int, len(hosts))
		for i, host := range hosts {
			before[i] = host.State().Changes
		}
		hosts[5].NextBehavior = healthy
		plan.DeploymentID = "d-2"
		result, err := f.runPlan(plan)
		if err != nil || states(result) != "i-01 deployed, i-02 deployed, i-03 deployed, i-04 deployed, i-05 deployed, i-06 deployed, i-07 deployed, i-08 deployed, i-09 deployed, i-10 deployed" {
			t.Fatalf("%s: %v", states(result), err)
		}
		for i, host := range hosts {
			if more := host.State().Changes - before[i]; (more == 1) != (i == 5) {
				t.Errorf("host %d was changed %d more times", i+1, more)
			}
		}
		if result.Hosts[5].Wave != 1 || result.Hosts[4].Wave == 1 {
			t.Errorf("waves %d and %d", result.Hosts[5].Wave, result.Hosts[4].Wave)
		}
	})
}

func TestRerunRepairsADriftedInstance(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		if _, err := f.runPlan(f.plan("0.1.30-dev", ids...)); err != nil {
			t.Fatal(err)
		}
		hosts[1].SetDrift("unit-file")
		again := f.plan("0.1.30-dev", ids...)
		again.DeploymentID = "d-2"
		if _, err := f.runPlan(again); err != nil || hosts[0].State().Changes != 1 || hosts[1].State().Changes != 2 {
			t.Errorf("%v, changed %d and %d times", err, hosts[0].State().Changes, hosts[1].State().Changes)
		}
	})
}
