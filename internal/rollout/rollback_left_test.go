package rollout_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

func TestRollbackGoesOnWithoutInstancesThatCannotBeReached(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		f.AddInstance(localaws.Instance{ID: "i-05", PingStatus: "ConnectionLost"})
		f.AddInstance(localaws.Instance{ID: "i-06"}) // prints nothing
		result, err := f.runPlan(f.rollbackPlan("", append(ids, "i-05", "i-06")...))
		wantErrorParts(t, err, "2 of 4 instances are not known to run the release",
			"instance i-05: not-started: is not online", "instance i-06: not-started: cannot report what it runs", "it was left out, and this run changed nothing there")
		if result.Status != rollout.OutcomeFailed || installedVersions(hosts) != "0.1.28 0.1.28" {
			t.Errorf("%s, the hosts run %s", result.Status, installedVersions(hosts))
		}
		if got := states(result); got != "i-01 deployed, i-02 deployed, i-05 not-started, i-06 not-started" || result.Hosts[1].IsSilent() || !result.Hosts[2].IsSilent() || !result.Hosts[3].IsSilent() {
			t.Error(got)
		}
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || current.Version != "0.1.28-dev" {
			t.Errorf("%+v, %v", current, err)
		}
	})
}

// What stopped it on one instance says nothing about the release that the others have to go back to.
func TestRollbackGoesOnAfterAnInstanceOnWhichItWasCutOff(t *testing.T) {
	for reason, want := range map[deploy.Reason]string{
		deploy.ReasonCutOff:       "0.1.29 0.1.28 0.1.28",
		deploy.ReasonStopped:      "0.1.29 0.1.28 0.1.28",
		deploy.ReasonScriptFailed: "0.1.29 0.1.28 0.1.28",
		deploy.ReasonStartFailed:  "0.1.29 0.1.29 0.1.29",
		deploy.ReasonUnhealthy:    "0.1.29 0.1.29 0.1.29",
	} {
		t.Run(string(reason), func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(3, "0.1.28-dev")
				f.deployVersions(ids, "0.1.29-dev")
				hosts[0].NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{NotProved: reason} }
				plan := f.rollbackPlan("", ids...)
				plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Hosts: 2}, {Percent: 100}}
				result, err := f.runPlan(plan)
				if err == nil || result.Hosts[0].State != rollout.RolledBack || installedVersions(hosts) != want {
					t.Errorf("%s, the hosts run %s: %v", states(result), installedVersions(hosts), err)
				}
			})
		})
	}
}

// It had the tags before, and is rolled back as well if it returns.
func TestInstanceThatARollbackHasLeftOutIsNotNew(t *testing.T) {
	for name, back := range map[string]bool{"for good": false, "for a while": true} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(2, "0.1.28-dev")
				f.deployVersions(ids, "0.1.29-dev")
				set := func(i int, status string) {
					f.AddInstance(localaws.Instance{ID: ids[i], PingStatus: status, Machine: hosts[i], Tags: map[string]string{"Environment": "dev"}})
				}
				set(0, "Online")
				set(1, "ConnectionLost")
				hosts[0].NextBehavior = func(string) simhost.Behavior {
					if back {
						set(1, "Online")
					}
					return simhost.Behavior{}
				}
				plan := f.rollbackPlan("")
				plan.Image.Tags = nil // the images are not in the registry
				plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
				result, err := f.runPlan(plan)
				wantStates, wantVersions := "i-01 deployed, i-02 deployed", "0.1.28 0.1.28"
				if !back {
					wantStates, wantVersions = "i-01 deployed, i-02 not-started", "0.1.28 0.1.29"
					wantErrorParts(t, err, "1 of 2 instances are not known to run the release", "instance i-02: not-started: is not online")
				}
				if got := states(result); got != wantStates || (err == nil) != back || err != nil && strings.Contains(err.Error(), "new instance") || installedVersions(hosts) != wantVersions {
					t.Errorf("%s, the hosts run %s: %v", got, installedVersions(hosts), err)
				}
			})
		})
	}
}

func TestRollbackNeedsAnInstanceThatCanBeReached(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.AddInstance(localaws.Instance{ID: "i-05", PingStatus: "ConnectionLost"})
		_, err := f.runPlan(f.rollbackPlan("0.1.28-dev", "i-05"))
		wantErrorParts(t, err, "instance i-05 is not online")
		f.AddInstance(localaws.Instance{ID: "i-06"})
		_, err = f.runPlan(f.rollbackPlan("0.1.28-dev", "i-06"))
		wantErrorParts(t, err, "instance i-06 cannot report what it runs")
	})
}

func TestRollbackToDifferentImagesOfOneVersionIsNotRecorded(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		hosts[0].SetInstalled("0.1.28-dev", digestOf("one"))
		hosts[1].SetInstalled("0.1.28-dev", digestOf("other"))
		f.deployVersions(ids, "0.1.29-dev")
		latest := f.latestDigest()
		result, err := f.runPlan(f.rollbackPlan("", ids...))
		wantErrorParts(t, err, "the instances run different images as 0.1.28-dev: ", digestOf("one")+" (i-01 (name-of-i-01))", digestOf("other")+" (i-02 (name-of-i-02))", "nothing was recorded")
		current, _ := f.locks.ReadCurrent(t.Context())
		if result.Status == rollout.OutcomeSuccess || current.Version != "0.1.29-dev" || f.latestDigest() != latest {
			t.Errorf("%s, current is %+v, latest-dev was %s and is %s", result.Status, current, latest, f.latestDigest())
		}
	})
}

// Whoever rolls back has no better release: neither the fleet's quarantine nor a host's
// own may stand in the way.
func TestQuarantineDoesNotBlockARollback(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		f.deployVersions(ids, "0.1.28-dev", "0.1.29-dev")
		digest, err := f.repository.Resolve(t.Context(), "0.1.28-dev")
		if err != nil {
			t.Fatal(err)
		}
		held := f.holdLock()
		err = f.locks.UpdateCurrent(t.Context(), held.Generation(), func(c *lease.Current) {
			c.Quarantine(lease.Quarantine{Digest: digest, Version: "0.1.28-dev", Deployment: "bad", Since: time.Now().UTC()})
		})
		if err := errors.Join(err, held.Release(t.Context())); err != nil {
			t.Fatal(err)
		}
		hosts[1].ForgetReleases()
		if _, err := f.runPlan(f.rollbackPlan("0.1.28-dev", ids...)); err != nil || installedVersions(hosts) != "0.1.28 0.1.28" {
			t.Errorf("the hosts run %s: %v", installedVersions(hosts), err)
		}
	})
}

// One instance of the first wave of a rollback loses its connection between its answer and the command.
func TestARollbackGoesOnWithoutAnInstanceThatDisappearsBeforeTheFirstWave(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(4, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: hosts[0], InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if strings.Contains(i.Script, "\nset -- status ") {
				f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", PingStatus: "ConnectionLost"})
			}
			return nil
		}})
		plan := f.rollbackPlan("", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 2}, {Percent: 100}}
		result, err := f.runPlan(plan)
		if err == nil || installedVersions(hosts) != "0.1.29 0.1.28 0.1.28 0.1.28" {
			t.Errorf("%s: the others run %s: %v", states(result), installedVersions(hosts[1:]), err)
		}
	})
}

// The first instance of a rollback in waves dies while it rolls back, and may be back later. The others run the bad release.
func TestAnInstanceThatDiesInARollbackDoesNotKeepTheOthersOnTheBadRelease(t *testing.T) {
	for name, returns := range map[string]bool{"it stays away": false, "it returns": true} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(4, "0.1.28-dev")
				f.deployVersions(ids, "0.1.29-dev")
				f.loseInRollback(ids[0], hosts[0])
				hosts[3].NextBehavior = func(string) simhost.Behavior {
					if returns {
						f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: hosts[0]})
					}
					return simhost.Behavior{}
				}
				plan := f.rollbackPlan("", ids...)
				plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 100}}
				result, err := f.runPlan(plan)
				wantErrorParts(t, err, "every other instance runs 0.1.28-dev, and keeps it")
				if installedVersions(hosts[1:]) != "0.1.28 0.1.28 0.1.28" {
					t.Errorf("%s: the others run %s: %v", states(result), installedVersions(hosts[1:]), err)
				}
			})
		})
	}
}

// loseInRollback makes an instance disappear as soon as it gets the command to roll back.
func (f *fixture) loseInRollback(id string, host *simhost.Host) {
	f.AddInstance(localaws.Instance{ID: id, Name: "name-of-" + id, Machine: host, InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
		if !strings.Contains(i.Script, "\nset -- rollback ") {
			return nil
		}
		f.AddInstance(localaws.Instance{ID: id, Name: "name-of-" + id, PingStatus: "ConnectionLost"})
		return &localaws.DeliveryFault{Status: "ExecutionTimedOut", Code: 137}
	}})
}

// In one wave, those that hold the release come first; one that dies does not keep it from those that lack it.
func TestAnInstanceThatDiesInARollbackDoesNotKeepItFromThoseThatLackTheRelease(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "")
		f.deployVersions(ids, "0.1.28-dev", "0.1.29-dev")
		hosts[2].ForgetReleases()
		f.loseInRollback(ids[0], hosts[0])
		result, err := f.runPlan(f.rollbackPlan("0.1.28-dev", ids...))
		if err == nil || installedVersions(hosts[1:]) != "0.1.28 0.1.28" {
			t.Errorf("%s: the others run %s: %v", states(result), installedVersions(hosts[1:]), err)
		}
	})
}

// An instance that a rollback has left out returns before its end, busy. If it had stayed away, what the others run would be
// recorded.
func TestARollbackIsRecordedAlsoIfAnInstanceReturnsAndRefuses(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		set := func(i int, status string) {
			f.AddInstance(localaws.Instance{ID: ids[i], PingStatus: status, Machine: hosts[i], Tags: map[string]string{"Environment": "dev"}})
		}
		set(0, "Online")
		set(1, "Online")
		set(2, "ConnectionLost")
		hosts[0].NextBehavior = func(string) simhost.Behavior {
			set(2, "Online")
			return simhost.Behavior{}
		}
		hosts[2].NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Refusal: "a job runs"} }
		plan := f.rollbackPlan("")
		plan.Image.Tags = nil
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "i-03: not-deployed: a job runs")
		if installedVersions(hosts) != "0.1.28 0.1.28 0.1.29" {
			t.Fatal(installedVersions(hosts))
		}
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || current.Version != "0.1.28-dev" {
			t.Errorf("%s; recorded is %s, %v", states(result), current.Version, err)
		}
	})
}

// A rollback breaks the first instance: neither release is proved to run there. The next waves are not touched, whatever the reason is,
// since a step that fails may fail everywhere.
func TestARollbackThatBreaksAnInstanceDoesNotGoOn(t *testing.T) {
	for _, reason := range []deploy.Reason{deploy.ReasonScriptFailed, deploy.ReasonCutOff} {
		t.Run(string(reason), func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(3, "0.1.28-dev")
				f.deployVersions(ids, "0.1.29-dev")
				for _, host := range hosts {
					host.NextBehavior = func(string) simhost.Behavior {
						return simhost.Behavior{NotProved: reason, Unhealthy: true, RollbackFails: true}
					}
				}
				plan := f.rollbackPlan("", ids...)
				plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Hosts: 2}, {Percent: 100}}
				result, err := f.runPlan(plan)
				if got := states(result); got != "i-01 rollback-failed, i-02 not-started, i-03 not-started" {
					t.Errorf("%s: %v", got, err)
				}
			})
		})
	}
}
