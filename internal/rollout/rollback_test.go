package rollout_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// deployVersions deploys versions to the instances, one after the other.
func (f *fixture) deployVersions(ids []string, versions ...string) {
	f.t.Helper()
	for _, version := range versions {
		f.buildImage("program of " + version)
		if _, err := f.runPlan(f.plan(version, ids...)); err != nil {
			f.t.Fatal(err)
		}
	}
	*f.console = console{}
}

// rollbackPlan is a rollback to a version; empty: to the previous one.
func (f *fixture) rollbackPlan(version string, ids ...string) rollout.Plan {
	plan := f.plan("0.0.0-dev", ids...)
	plan.Operation, plan.Phases, plan.Release.Version = rollout.Rollback, inputs.Phases{Rollout: true}, release.Version{}
	plan.DeploymentID = "rollback-to-" + strings.ReplaceAll(version, ".", "-")
	if version != "" {
		plan.Release.Version, _ = release.ParseVersion(version)
	}
	return plan
}

// installedVersions lists the versions that the hosts run, without -dev.
func installedVersions(hosts []*simhost.Host) string {
	var list []string
	for _, host := range hosts {
		list = append(list, strings.TrimSuffix(host.State().Version, "-dev"))
	}
	return strings.Join(list, " ")
}

func TestRollbackGoesToThePreviousVersionInWaves(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(4, "")
		f.deployVersions(ids, "0.1.28-dev", "0.1.29-dev", "0.1.30-dev")
		from := len(f.Calls())
		plan := f.rollbackPlan("", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 100}}
		result, err := f.runPlan(plan)
		if err != nil || result.Status != rollout.OutcomeSuccess || installedVersions(hosts) != "0.1.29 0.1.29 0.1.29 0.1.29" {
			t.Fatalf("%s, the hosts run %s: %v", result.Status, installedVersions(hosts), err)
		}
		wantLines(t, "groups", f.console.groups, "Preflight", "Roll out, wave 1 of 2: 1 instance", "Roll out, wave 2 of 2: 3 instances",
			"Check again: 1 instance", "Move tags")
		for _, call := range f.Calls()[from:] {
			if strings.Contains(call.Resource, "bundles/") || strings.HasPrefix(call.Operation, "registry:") && strings.Contains(call.Resource, "0.1.29") {
				t.Errorf("%s %s", call.Operation, call.Resource)
			}
		}
		current, err := f.locks.ReadCurrent(t.Context())
		if err != nil || current.Version != "0.1.29-dev" || current.Before != "0.1.30-dev" || current.Digest != hosts[0].State().Digest || f.latestDigest() != current.Digest {
			t.Errorf("%+v, latest-dev is %s: %v", current, f.latestDigest(), err)
		}
		if got := f.console.values["version"]; got != "0.1.29-dev" || f.console.values["previous-version"] != "0.1.30-dev" {
			t.Errorf("outputs are %v", f.console.values)
		}
		// A second rollback goes to the version before that.
		plan = f.rollbackPlan("", ids...)
		plan.DeploymentID = "rollback-2"
		if _, err := f.runPlan(plan); err != nil || installedVersions(hosts) != "0.1.28 0.1.28 0.1.28 0.1.28" {
			t.Errorf("the hosts run %s: %v", installedVersions(hosts), err)
		}
	})
}

// A rollback that was interrupted must not go further back on the hosts that it has rolled
// back already.
func TestRestartedRollbackKeepsItsTarget(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev", "0.1.30-dev")
		hosts[1].NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Refusal: "a job runs"} }
		plan := f.rollbackPlan("", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Hosts: 2}, {Percent: 100}}
		_, err := f.runPlan(plan)
		wantErrorParts(t, err, "every other instance runs 0.1.29-dev", "instance i-02 (name-of-i-02): not-deployed: a job runs")
		if installedVersions(hosts) != "0.1.29 0.1.30 0.1.29" {
			t.Fatal(installedVersions(hosts))
		}
		hosts[1].NextBehavior = healthy
		plan.DeploymentID = "rollback-2"
		if _, err := f.runPlan(plan); err != nil || installedVersions(hosts) != "0.1.29 0.1.29 0.1.29" {
			t.Errorf("the hosts run %s: %v", installedVersions(hosts), err)
		}
	})
}

func TestRollbackDeploysTheReleaseWhereItIsMissing(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		f.deployVersions(ids, "0.1.28-dev", "0.1.29-dev", "0.1.30-dev")
		hosts[1].ForgetReleases()
		result, err := f.runPlan(f.rollbackPlan("0.1.28-dev", ids...))
		if err != nil || installedVersions(hosts) != "0.1.28 0.1.28" || hosts[0].State().Digest != hosts[1].State().Digest {
			t.Fatalf("the hosts run %s: %v", installedVersions(hosts), err)
		}
		if a, b := hosts[0].State().Command, hosts[1].State().Command; !strings.HasPrefix(a, "rollback ") || !strings.HasPrefix(b, "deploy ") || !strings.Contains(b, "--allow-downgrade=true") {
			t.Errorf("commands were %s and %s", a, b)
		}
		if result.Image.Digest != hosts[0].State().Digest {
			t.Errorf("the image is %s", result.Image.Digest)
		}
	})
}

func TestRollbackIsRefusedWhenItsTargetIsNotAvailable(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		_, err := f.runPlan(f.rollbackPlan("0.1.1-dev", ids...))
		wantErrorParts(t, err, "0.1.1-dev is not among the releases of 2 instances (i-01 (name-of-i-01), i-02 (name-of-i-02)), and it cannot be deployed there",
			"0.1.1-dev was never seen healthy on an instance that can be reached; those that were: 0.1.29-dev, 0.1.28-dev; if it is right, set bundle-sha256 and image-digest, which the outputs and the log of the run that deployed it name")
		plan := f.rollbackPlan("0.1.1-dev", ids...)
		plan.Bundle.SHA256, plan.Image.Digest = strings.Repeat("0", 64), digestOf("0.1.1-dev")
		_, err = f.runPlan(plan)
		wantErrorParts(t, err, "bundle is not in the bucket", "not in the registry")
		f.noRepository = true
		_, err = f.runPlan(f.rollbackPlan("0.1.1-dev", ids...))
		wantErrorParts(t, err, "without ecr-repository it cannot be deployed there")
		f.noRepository = false
		hosts[1].ForgetReleases() // this host has no previous release
		_, err = f.runPlan(f.rollbackPlan("", ids...))
		wantErrorParts(t, err, "no instance that can be reached names what it is; if it is right, set bundle-sha256")
		empty, _ := f.addHosts(1, "")
		_, err = f.runPlan(f.rollbackPlan("", empty...))
		wantErrorParts(t, err, "the instances run no release that they could roll back from")
		for _, host := range hosts {
			if host.State().Changes != 1 {
				t.Errorf("changed %d times", host.State().Changes)
			}
		}
	})
}

func TestRefusedRollbackNamesUpToFiveInstances(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, _ := f.addHosts(7, "0.1.28-dev")
		_, err := f.runPlan(f.rollbackPlan("0.1.1-dev", ids...))
		wantErrorParts(t, err, "0.1.1-dev is not among the releases of 7 instances (")
		if n := strings.Count(err.Error(), "(name-of-"); n != 5 {
			t.Errorf("%d instances are named: %v", n, err)
		}
	})
}

func TestRollbackNeedsNoRepositoryWhenHostsHoldTheRelease(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		f.noRepository = true
		plan := f.rollbackPlan("0.1.28-dev", ids...)
		plan.Image.Tags = nil
		if _, err := f.runPlan(plan); err != nil || installedVersions(hosts) != "0.1.28 0.1.28" {
			t.Errorf("the hosts run %s: %v", installedVersions(hosts), err)
		}
		wantLines(t, "groups", f.console.groups, "Preflight", "Roll out")
	})
}

func TestFailedRollbackStopsAndKeepsEarlierWaves(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		hosts[1].NextBehavior = unhealthy
		plan := f.rollbackPlan("", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Hosts: 2}, {Percent: 100}}
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "instance i-02 (name-of-i-02): rolled-back: unhealthy; 0.1.29-dev is back", "1 instance not touched")
		if installedVersions(hosts) != "0.1.28 0.1.29 0.1.29" || result.Status == rollout.OutcomeSuccess {
			t.Errorf("%s, the hosts run %s", result.Status, installedVersions(hosts))
		}
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || current.Version != "0.1.29-dev" || len(current.Quarantined) != 0 {
			t.Errorf("%+v, %v", current, err)
		}
	})
}

// Every instance refuses a rollback, or has disappeared. None runs its target, and the record must not say so, nor the message.
func TestARollbackThatEveryInstanceRefusesIsNotRecorded(t *testing.T) {
	for name, lacks := range map[string]bool{"all hold the target": false, "one lacks it": true} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(2, "")
				f.deployVersions(ids, "0.1.28-dev", "0.1.29-dev")
				if lacks {
					hosts[1].ForgetReleases()
				}
				for _, host := range hosts {
					host.NextBehavior = func(string) simhost.Behavior {
						return simhost.Behavior{Refusal: "not enough room", Reason: deploy.ReasonNoSpace}
					}
				}
				result, err := f.runPlan(f.rollbackPlan("0.1.28-dev", ids...))
				current, _ := f.locks.ReadCurrent(t.Context())
				if current.Version != "0.1.29-dev" {
					t.Errorf("%s: the hosts run %s, and recorded is %s", states(result), installedVersions(hosts), current.Version)
				}
				if err == nil || strings.Contains(err.Error(), "every other instance runs 0.1.28-dev") || strings.Contains(err.Error(), "run different images as 0.1.28-dev: ;") {
					t.Errorf("%v", err)
				}
			})
		})
	}
}
