package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

func TestRolloutStopsAfterAnUnhealthyCanary(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(20, "0.1.29-dev")
		hosts[0].NextBehavior = unhealthy
		result, err := f.runPlan(f.planInWaves("0.1.30-dev", ids...))
		wantErrorParts(t, err, "1 of 20 instances are not known to run the release", "instance i-01 (name-of-i-01): rolled-back: unhealthy; 0.1.29-dev is back", "19 instances not touched")
		if got := changedHosts(hosts); fmt.Sprint(got) != "[1]" || hosts[0].State().Version != "0.1.29-dev" || result.Status != rollout.OutcomeRolledBack || f.latestDigest() != "" {
			t.Errorf("%s, changed are %v, i-01 runs %s", result.Status, got, hosts[0].State().Version)
		}
	})
}

func TestFailedWaveIsRolledBackAccordingToRollbackOnFailure(t *testing.T) {
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
				ids, hosts := f.addHosts(10, "0.1.29-dev")
				hosts[7].NextBehavior = unhealthy
				plan := f.planInWaves("0.1.30-dev", ids...)
				plan.Rollout.RollbackOnFailure = name
				result, err := f.runPlan(plan)
				wantErrorParts(t, err, "1 of 10 instances are not known to run the release", test.text)
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

func TestEachHostRollsBackToItsOwnPreviousVersion(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(4, "0.1.28-dev")
		hosts[1].SetInstalled("0.1.29-dev", digestOf("0.1.29-dev"))
		empty := f.addHost("i-09", "")
		hosts[3].NextBehavior = unhealthy
		plan := f.plan("0.1.30-dev", append(ids, "i-09")...)
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "3 instances that ran it rolled back")
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

func TestHostThatCannotRollBackIsReported(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.29-dev")
		hosts[2].NextBehavior = unhealthy
		hosts[0].NextBehavior = func(version string) simhost.Behavior { return simhost.Behavior{Unhealthy: version == "0.1.29-dev"} }
		hosts[1].NextBehavior = func(version string) simhost.Behavior { return simhost.Behavior{RollbackFails: version == "0.1.29-dev"} }
		result, err := f.runPlan(f.plan("0.1.30-dev", ids...))
		wantErrorParts(t, err, "instance i-01 (name-of-i-01): rollback-failed: still runs 0.1.30-dev", "instance i-02 (name-of-i-02): rollback-failed")
		if result.Status != rollout.OutcomeRollbackFailed {
			t.Error(result.Status)
		}
	})
}

func TestUnhealthyImageIsQuarantined(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		hosts[0].NextBehavior = unhealthy
		plan := f.planInWaves("0.1.30-dev", ids...)
		if _, err := f.runPlan(plan); err == nil {
			t.Fatal("the deploy succeeded")
		}
		hosts[0].NextBehavior = healthy
		plan.DeploymentID = "d-2"
		_, err := f.runPlan(plan)
		var quarantined *rollout.QuarantineError
		if !errors.As(err, &quarantined) || quarantined.Version != "0.1.30-dev" || hosts[1].State().Changes != 0 {
			t.Errorf("error is %v, changed are %v", err, changedHosts(hosts))
		}
		plan.Rollout.Policy.AllowQuarantined, plan.DeploymentID = true, "d-3"
		if _, err := f.runPlan(plan); err != nil {
			t.Fatal(err)
		}
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || len(current.Quarantined) != 0 || current.Version != "0.1.30-dev" {
			t.Errorf("%+v, %v", current, err)
		}
	})
}

// GitHub leaves a cancelled run a few seconds; it does not spend them on the quarantine.
func TestImageIsNotQuarantinedAfterACancel(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		started := make(chan struct{})
		hosts[0].NextBehavior = unhealthy
		hosts[1].NextBehavior = neverEnding(started)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-started
			time.Sleep(10 * time.Second) // until the first host has answered
			cancel()
		}()
		result, err := rollout.Run(ctx, f.plan("0.1.30-dev", ids...), f, f.console)
		if err == nil || result.Status != rollout.OutcomeCancelled || states(result) != "i-01 rolled-back, i-02 unknown" {
			t.Fatalf("%s: %s, %v", result.Status, states(result), err)
		}
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || len(current.Quarantined) != 0 {
			t.Errorf("%+v, %v", current, err)
		}
		if log := strings.Join(f.console.log, "\n"); strings.Contains(log, "quarantine") {
			t.Error(log)
		}
	})
}

func TestHostThatHasNoEarlierReleaseIsNotRolledBack(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		plan := f.plan("0.1.30-dev", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 100}}
		hosts[1].NextBehavior = func(version string) simhost.Behavior {
			hosts[0].SetInstalled(version, hosts[0].State().Digest) // its previous release is the same one
			return simhost.Behavior{Unhealthy: true}
		}
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "instance i-01 (name-of-i-01): rollback-failed: still runs 0.1.30-dev: it has no earlier release to roll back to")
		if got := states(result); got != "i-01 rollback-failed, i-02 rolled-back" {
			t.Error(got)
		}
	})
}

// What cannot be asked is not known, also if it was healthy a moment ago.
func TestInstanceThatCannotBeToldToRollBackIsUnknown(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		hosts[1].NextBehavior = func(string) simhost.Behavior {
			f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Stopped: true, Machine: hosts[0]})
			return simhost.Behavior{Unhealthy: true}
		}
		result, err := f.runPlan(f.planInWaves("0.1.30-dev", ids...))
		wantErrorParts(t, err, "instance i-01 (name-of-i-01): unknown: it was healthy; it was not rolled back: is stopped, or not managed by SSM")
		if got, runs := states(result), result.Hosts[0].Runs(); got != "i-01 unknown, i-02 rolled-back" || result.Status != rollout.OutcomeUnknown || runs != "" {
			t.Errorf("%s: %s, %q", result.Status, got, runs)
		}
	})
}

// A job that was only installed, and never seen to run, is nothing to roll back to if there is better.
func TestRollbackFurtherBackThanBeforeIsNamed(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		f.deployVersions(ids, "0.1.28-dev")
		hosts[0].NextBehavior = func(version string) simhost.Behavior { return simhost.Behavior{NotRun: version == "0.1.29-dev"} }
		f.buildImage("program of 0.1.29-dev")
		plan := f.plan("0.1.29-dev", ids...)
		plan.Rollout.Policy.RunOnDeploy = false
		if _, err := f.runPlan(plan); err != nil {
			t.Fatal(err)
		}
		hosts[1].NextBehavior = unhealthy
		f.buildImage("program of 0.1.30-dev")
		result, _ := f.runPlan(f.planInWaves("0.1.30-dev", ids...))
		if got := result.Hosts[0]; installedVersions(hosts) != "0.1.28 0.1.29" || got.State != rollout.RolledBack ||
			got.Message != "ran the release, and was rolled back to 0.1.28-dev, which was seen to work last; it had 0.1.29-dev before" {
			t.Errorf("the hosts run %s: %s: %s", installedVersions(hosts), states(result), got.Message)
		}
	})
}

// The deploy of a run that was killed is still at work, and is rolled back before this run deploys the same version.
func TestHostIsRolledBackToWhatItRanWhenItsDeployBegan(t *testing.T) {
	for name, test := range map[string]struct {
		before string
		lost   bool
		says   string
	}{
		"a release":                     {"0.1.29-dev", false, "ran the release, and was rolled back"},
		"a release, the answer is lost": {"0.1.29-dev", true, "ran the release, and was rolled back"},
		"nothing":                       {"", false, "it ran nothing before, so there is nothing to roll back to"},
		"nothing, the answer is lost":   {"", true, "it ran nothing before, so there is nothing to roll back to"},
	} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(2, test.before)
				deploys := 0
				hosts[0].NextBehavior = func(string) simhost.Behavior {
					if deploys++; deploys == 1 {
						return simhost.Behavior{Unhealthy: true, Duration: 20 * time.Second}
					}
					return simhost.Behavior{}
				}
				hosts[1].NextBehavior = unhealthy
				if test.lost {
					f.AddInstance(localaws.Instance{ID: ids[0], Machine: hosts[0], InjectFault: loseAnswers(1)})
				}
				go hosts[0].Run(context.WithoutCancel(t.Context()), deadDeploy(t, "0.1.30-dev"), nil)
				time.Sleep(time.Second)
				result, err := f.runPlan(f.planInWaves("0.1.30-dev", ids...))
				wantErrorParts(t, err, "instance i-02 (name-of-i-02): rolled-back: unhealthy")
				if got := result.Hosts[0]; deploys < 2 || got.Before != test.before || !strings.HasSuffix(got.Message, test.says) || (test.before != "") != (hosts[0].State().Version == test.before) {
					t.Errorf("the hosts run %s: %s, %q: %s", installedVersions(hosts), states(result), got.Before, got.Message)
				}
			})
		})
	}
}

// The first run was killed, or could not write, before it recorded what every instance runs. Deployed again with a health
// check that fails, the release is back where it was healthy all the time: its image is not to blame.
func TestAnImageThatTheFailedInstanceRunsAgainIsNotQuarantined(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		f.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: "current.json", Error: &localaws.Error{Status: 403, Code: "AccessDenied", Message: "denied"}})
		_, err := f.runPlan(f.plan("0.1.30-dev", ids...))
		wantErrorParts(t, err, "0.1.30-dev runs, and was not recorded as current")
		f.ClearFaults()
		for _, host := range hosts {
			host.SetDrift("timer") // it is deployed again
			host.NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Unhealthy: true} }
		}
		again := f.plan("0.1.30-dev", ids...)
		again.DeploymentID, again.Holder.Deployment = "d-again", "d-again"
		result, err := f.runPlan(again)
		if err == nil || states(result) != "i-01 rolled-back, i-02 rolled-back" || hosts[0].State().Version != "0.1.30-dev" || !hosts[0].State().Verified {
			t.Fatal(states(result), err)
		}
		current, err := f.locks.ReadCurrent(t.Context())
		if err != nil || len(current.Quarantined) > 0 {
			t.Errorf("an image that was healthy here before, and is again, is quarantined: %+v, %v", current.Quarantined, err)
		}
		for _, host := range hosts {
			host.NextBehavior = healthy
		}
		repaired := f.plan("0.1.30-dev", ids...)
		repaired.DeploymentID, repaired.Holder.Deployment = "d-repaired", "d-repaired"
		if _, err := f.runPlan(repaired); err != nil {
			t.Errorf("with the health check repaired: %v", err)
		}
	})
}
