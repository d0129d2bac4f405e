package rollout_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

func TestTagsSelectTheInstances(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		dev := map[string]string{"Environment": "dev"}
		one, other := simhost.New("0.1.29-dev", digestOf("x")), simhost.New("0.1.29-dev", digestOf("x"))
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: one, Tags: dev})
		f.AddInstance(localaws.Instance{ID: "i-2", Machine: other, Tags: map[string]string{"Environment": "prod"}})
		plan := f.plan("0.1.30-dev")
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		plan.Targets.MinInstances = 2
		_, err := f.runPlan(plan)
		wantErrorParts(t, err, "1 instance found, min-instances is 2: i-1")
		plan.Targets.Tags[0].Value = "staging"
		_, err = f.runPlan(plan)
		if !errors.Is(err, fleet.ErrNoInstance) {
			t.Error(err)
		}
		wantLines(t, "changes", f.mutatingRequests())
		plan.Targets.Tags[0].Value, plan.Targets.MinInstances = "dev", 1
		if result, err := f.runPlan(plan); err != nil || states(result) != "i-1 deployed" || other.State().Changes != 0 {
			t.Errorf("%s: %v", states(result), err)
		}
	})
}

// planWithNewInstance returns a plan for i-1, during whose deploy i-2 gets the target tags.
func (f *fixture) planWithNewInstance() (plan rollout.Plan, first, second *simhost.Host) {
	dev := map[string]string{"Environment": "dev"}
	first, second = simhost.New("0.1.29-dev", digestOf("x")), simhost.New("", "")
	first.NextBehavior = func(string) simhost.Behavior {
		f.AddInstance(localaws.Instance{ID: "i-2", Machine: second, Tags: dev})
		return simhost.Behavior{}
	}
	f.AddInstance(localaws.Instance{ID: "i-1", Machine: first, Tags: dev})
	plan = f.plan("0.1.30-dev")
	plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
	return plan, first, second
}

// An instance that an auto scaling group has just started has no Docker, or no settings, yet. What cannot be deployed to says
// nothing about the release.
func TestANewInstanceThatIsNotReadyRollsNothingBack(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		plan, first, second := f.planWithNewInstance()
		second.NextBehavior = func(string) simhost.Behavior {
			return simhost.Behavior{Refusal: "/opt/atta/.env lacks TOKEN, which 0.1.30-dev needs", Reason: deploy.ReasonSettingsMissing}
		}
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "i-2: not-deployed: /opt/atta/.env lacks TOKEN")
		f.wantKept(result, first)
	})
}

func TestNewInstanceGetsTheRelease(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		plan, _, second := f.planWithNewInstance()
		result, err := f.runPlan(plan)
		if err != nil || states(result) != "i-1 deployed, i-2 deployed" || second.State().Version != "0.1.30-dev" {
			t.Errorf("%s: %v", states(result), err)
		}
		if !slices.Contains(f.console.groups, "Roll out to new instances: 1 instance") {
			t.Errorf("groups are %q", f.console.groups)
		}
	})
}

func TestDeployFailsWhenANewInstanceIsOffline(t *testing.T) {
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
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "every other instance runs 0.1.30-dev, and keeps it: new instance: instance i-2 is not online")
		f.wantKept(result, first)
	})
}

// One of an earlier wave is silent as well, and the error ends the run before it is asked again.
func TestErrorAboutANewInstanceNamesThoseThatAreSilent(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		dev := map[string]string{"Environment": "dev"}
		first, second := simhost.New("0.1.29-dev", digestOf("x")), simhost.New("0.1.29-dev", digestOf("x"))
		second.NextBehavior = func(string) simhost.Behavior {
			f.AddInstance(localaws.Instance{ID: "i-1", PingStatus: "ConnectionLost", Machine: first, Tags: dev})
			f.AddInstance(localaws.Instance{ID: "i-3", PingStatus: "Inactive", Tags: dev})
			return simhost.Behavior{}
		}
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: first, Tags: dev})
		f.AddInstance(localaws.Instance{ID: "i-2", Machine: second, Tags: dev})
		plan := f.planInWaves("0.1.30-dev")
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		_, err := f.runPlan(plan)
		wantErrorParts(t, err, "every other instance runs 0.1.30-dev, and keeps it: ", "new instance: instance i-3 is not online", "instance i-1: unknown: it was healthy, and now it is not online")
	})
}

// wantKept checks that a run failed, moved no tag and left its release on the host.
func (f *fixture) wantKept(result rollout.Result, host *simhost.Host) {
	f.t.Helper()
	current, err := f.locks.ReadCurrent(f.t.Context())
	if result.Status != rollout.OutcomeFailed || f.latestDigest() != "" || host.State().Version != "0.1.30-dev" || host.State().Changes != 1 || current.Version != "0.1.30-dev" {
		f.t.Errorf("%s, latest-dev is %q, the host runs %+v, current is %q: %v", result.Status, f.latestDigest(), host.State(), current.Version, err)
	}
}

func TestReleaseIsKeptWhenNewInstancesCannotBeLookedUp(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		first := simhost.New("0.1.29-dev", digestOf("x"))
		first.NextBehavior = func(string) simhost.Behavior {
			f.AddFault(localaws.Fault{Operation: "ssm:DescribeInstanceInformation", Error: &localaws.Error{Status: 400, Code: "AccessDeniedException", Message: "no"}})
			return simhost.Behavior{}
		}
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: first, Tags: map[string]string{"Environment": "dev"}})
		plan := f.plan("0.1.30-dev")
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "every other instance runs 0.1.30-dev, and keeps it: ", "AccessDeniedException")
		f.wantKept(result, first)
	})
}

func TestRollbackNamesANewInstanceThatDoesNotHoldTheRelease(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		dev := map[string]string{"Environment": "dev"}
		first := simhost.New("", "")
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: first, Tags: dev})
		f.deployVersions([]string{"i-1"}, "0.1.29-dev", "0.1.30-dev")
		first.NextBehavior = func(string) simhost.Behavior {
			f.AddInstance(localaws.Instance{ID: "i-2", Machine: simhost.New("", ""), Tags: dev})
			return simhost.Behavior{}
		}
		plan := f.rollbackPlan("")
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		_, err := f.runPlan(plan)
		wantErrorParts(t, err, "every other instance runs 0.1.29-dev, and keeps it: ", "new instance i-2 does not hold 0.1.29-dev: start the rollback again")
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || current.Version != "0.1.29-dev" || first.State().Version != "0.1.29-dev" {
			t.Errorf("current is %q, the host runs %q: %v", current.Version, first.State().Version, err)
		}
	})
}

// One broken instance says nothing about an image that is healthy on the others.
func TestImageThatIsHealthyElsewhereIsNotQuarantined(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		f.deployVersions(ids, "0.1.30-dev")
		broken := f.addHost("i-9", "")
		broken.NextBehavior = unhealthy
		plan := f.plan("0.1.30-dev", append(ids, "i-9")...)
		plan.DeploymentID = "again"
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "instance i-9 (name-of-i-9): rolled-back: unhealthy")
		current, _ := f.locks.ReadCurrent(t.Context())
		if result.Status == rollout.OutcomeSuccess || len(current.Quarantined) != 0 || installedVersions(hosts) != "0.1.30 0.1.30" {
			t.Errorf("%s, %+v, the hosts run %s", result.Status, current, installedVersions(hosts))
		}
	})
}

// An instance that an auto scaling group has just started is at fault itself, twice: its deploy is cut off or a step of it fails (no
// room in /run, a restart after its first boot), and its rollback to nothing as well. That says nothing about the release, which is
// healthy elsewhere.
func TestANewInstanceThatCannotRollBackForItsOwnReasonRollsNothingBack(t *testing.T) {
	for _, reason := range []deploy.Reason{deploy.ReasonScriptFailed, deploy.ReasonCutOff} {
		t.Run(string(reason), func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				plan, first, second := f.planWithNewInstance()
				second.NextBehavior = func(string) simhost.Behavior {
					return simhost.Behavior{NotProved: reason, Unhealthy: true, RollbackFails: true}
				}
				result, err := f.runPlan(plan)
				if runs := first.State().Version; runs != "0.1.30-dev" || err == nil {
					t.Errorf("%s: the healthy instance runs %s: %v", states(result), runs, err)
				}
			})
		})
	}
}
