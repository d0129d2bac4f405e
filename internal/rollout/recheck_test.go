package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// failsAfter is a program that ends so long after it was seen healthy.
func failsAfter(d time.Duration) func(string) simhost.Behavior {
	return func(version string) simhost.Behavior {
		if version == "0.1.29-dev" {
			return simhost.Behavior{}
		}
		return simhost.Behavior{FailsAfter: d}
	}
}

// slowly is healthy after a minute.
func slowly(string) simhost.Behavior { return simhost.Behavior{Duration: time.Minute} }

func TestRolloutStopsWhenAnInstanceOfAnEarlierWaveFails(t *testing.T) {
	for name, test := range map[string]struct {
		runs  []string // versions after the run
		parts []string
	}{
		"all":  {[]string{"0.1.29-dev", "0.1.29-dev", "0.1.29-dev", "0.1.29-dev"}, []string{"rolled-back: it was healthy, and now it runs 0.1.30-dev", "2 instances that ran it rolled back to the previous release", "1 instance not touched"}},
		"wave": {[]string{"0.1.29-dev", "0.1.30-dev", "0.1.30-dev", "0.1.29-dev"}, []string{"1 instance not touched"}},
		"none": {[]string{"0.1.30-dev", "0.1.30-dev", "0.1.30-dev", "0.1.29-dev"}, []string{"instance i-01 (name-of-i-01): drifted: it was healthy, and now it runs 0.1.30-dev"}},
	} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(4, "0.1.29-dev")
				hosts[0].NextBehavior, hosts[1].NextBehavior = failsAfter(30*time.Second), slowly
				plan := f.plan("0.1.30-dev", ids...)
				plan.Rollout.Waves, plan.Rollout.RollbackOnFailure = []inputs.Wave{{Hosts: 1}, {Hosts: 3}, {Percent: 100}}, name
				result, err := f.runPlan(plan)
				wantErrorParts(t, err, append(test.parts, "1 of 4 instances are not known to run the release", "unit failed; differs in inactive, unit-state")...)
				for i, want := range test.runs {
					if got := hosts[i].State().Version; got != want {
						t.Errorf("%s runs %s, want %s", ids[i], got, want)
					}
				}
				if result.Status == rollout.OutcomeSuccess || f.latestDigest() != "" {
					t.Error(result.Status)
				}
			})
		})
	}
}

// Silence says nothing about the release: the others keep it.
func TestInstanceOfAnEarlierWaveThatFallsSilentIsNamed(t *testing.T) {
	for name, back := range map[string]bool{"for good": false, "for a while": true} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(4, "0.1.29-dev")
				hosts[1].NextBehavior = slowly
				time.AfterFunc(30*time.Second, func() {
					f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", PingStatus: "ConnectionLost", Machine: hosts[0]})
				})
				if back {
					time.AfterFunc(2*time.Minute, func() { f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: hosts[0]}) })
				}
				result, err := f.runPlan(f.planInWaves("0.1.30-dev", ids...))
				current, _ := f.locks.ReadCurrent(t.Context())
				if current.Version != "0.1.30-dev" || current.Verified != back || (err == nil) != back {
					t.Errorf("current is %+v, the error %v", current, err)
				}
				if !back {
					wantErrorParts(t, err, "every other instance runs 0.1.30-dev, and keeps it", "1 of 4 instances", "instance i-01 (name-of-i-01): unknown: it was healthy, and now it is not online")
					if runs := result.Hosts[0].Runs(); runs != "" {
						t.Errorf("a silent instance is said to run %s", runs)
					}
				}
				for i, host := range hosts {
					if got := host.State().Version; got != "0.1.30-dev" {
						t.Errorf("%s runs %s: %s", ids[i], got, states(result))
					}
				}
			})
		})
	}
}

func TestAFailedRequestForEarlierWavesRollsNothingBack(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		hosts[1].NextBehavior = slowly
		time.AfterFunc(30*time.Second, func() {
			f.AddFault(localaws.Fault{Operation: "ssm:DescribeInstanceInformation", Times: 1000, Error: &localaws.Error{Status: 500, Code: "InternalServerError", Message: "oops"}})
		})
		result, err := f.runPlan(f.planInWaves("0.1.30-dev", ids...))
		wantErrorParts(t, err, "every other instance runs 0.1.30-dev, and keeps it", "could not be asked again")
		if hosts[0].State().Version != "0.1.30-dev" || hosts[1].State().Version != "0.1.30-dev" || !strings.Contains(states(result), "unknown") {
			t.Error(states(result))
		}
	})
}

func TestOnlyDriftThatLastsOnAnEarlierWaveRollsItBack(t *testing.T) {
	for name, test := range map[string]struct {
		drift []string
		lasts time.Duration
		want  string // in the error; empty: the run succeeds
	}{
		"a timer that was stopped":         {[]string{"timer", "unit-file", "last-run", "last-deploy"}, time.Hour, ""},
		"an engine that is silent":         {[]string{"engine"}, time.Minute, ""},
		"an engine that stays silent":      {[]string{"engine"}, time.Hour, "every other instance runs 0.1.30-dev, and keeps it: 1 of 2 instances are not known to run the release\ninstance i-01 (name-of-i-01): unknown: it was healthy, and now it runs 0.1.30-dev"},
		"a program that was started again": {[]string{"inactive"}, 15 * time.Second, ""},
		"a host that reboots":              {[]string{"inactive"}, 70 * time.Second, ""},
		"one that stays down":              {[]string{"inactive"}, time.Hour, "rolled-back: it was healthy, and now it runs 0.1.30-dev"},
		"one that stays up since":          {[]string{"restarts"}, time.Minute, ""},
		"one that is started all the time": {[]string{"restarts"}, time.Hour, "differs in restarts; was rolled back"},
	} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(2, "0.1.29-dev")
				hosts[1].NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Duration: 30 * time.Second} }
				time.AfterFunc(20*time.Second, func() { hosts[0].SetDrift(test.drift...) })
				time.AfterFunc(20*time.Second+test.lasts, func() { hosts[0].SetDrift() })
				_, err := f.runPlan(f.planInWaves("0.1.30-dev", ids...))
				if test.want != "" {
					wantErrorParts(t, err, strings.Split(test.want, "\n")...)
				} else if err != nil {
					t.Error(err)
				}
				want := "0.1.30 0.1.30"
				if strings.Contains(test.want, "rolled") {
					want = "0.1.29 0.1.29"
				}
				if got := installedVersions(hosts); got != want {
					t.Errorf("the hosts run %s, want %s", got, want)
				}
			})
		})
	}
}

// Somebody who has rolled an instance back by hand does not want it rolled back further.
func TestInstanceThatWasRolledBackByHandStaysThere(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		hosts[1].NextBehavior = slowly
		time.AfterFunc(30*time.Second, func() { hosts[0].SetInstalled("0.1.29-dev", hosts[2].State().Digest) })
		plan := f.plan("0.1.30-dev", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Hosts: 2}, {Percent: 100}}
		_, err := f.runPlan(plan)
		wantErrorParts(t, err, "instance i-01 (name-of-i-01): drifted: it was healthy, and now it runs 0.1.29-dev", "1 instance that ran it rolled back", "1 instance not touched")
		if got := installedVersions(hosts); got != "0.1.29 0.1.29 0.1.29" {
			t.Errorf("the hosts run %s", got)
		}
	})
}

// The last run of the previous release may have failed long ago.
func TestRollbackInWavesToAJobWhoseLastRunFailed(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		f.deployVersions(ids, "0.1.28-dev", "0.1.29-dev")
		for _, host := range hosts {
			host.NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{NotRun: true, Duration: time.Minute} }
		}
		time.AfterFunc(90*time.Second, func() {
			hosts[0].SetDrift("last-run")
			hosts[0].SetUnitFailed()
		})
		plan := f.rollbackPlan("", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 100}}
		if _, err := f.runPlan(plan); err != nil {
			t.Error(err)
		}
		if got := installedVersions(hosts); got != "0.1.28 0.1.28" {
			t.Errorf("the hosts run %s", got)
		}
	})
}

// A later wave fails while an instance that has the release is silent.
func TestSilentInstanceIsRolledBackAsWellOrNamed(t *testing.T) {
	for name, back := range map[string]bool{"for good": false, "for a while": true} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(3, "0.1.29-dev")
				hosts[1].NextBehavior = slowly
				hosts[2].NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Unhealthy: true, Duration: 2 * time.Minute} }
				time.AfterFunc(30*time.Second, func() {
					f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", PingStatus: "ConnectionLost", Machine: hosts[0]})
				})
				if back {
					time.AfterFunc(2*time.Minute, func() { f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: hosts[0]}) })
				}
				plan := f.plan("0.1.30-dev", ids...)
				plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Hosts: 2}, {Percent: 100}}
				result, err := f.runPlan(plan)
				want, parts := "0.1.29 0.1.29 0.1.29", []string{"2 instances that ran it rolled back"}
				if !back {
					want, parts = "0.1.30 0.1.29 0.1.29", []string{"1 instance that ran it rolled back", "instance i-01 (name-of-i-01): unknown: it was healthy, and now it is not online", "it was not rolled back: "}
				}
				wantErrorParts(t, err, parts...)
				if got := installedVersions(hosts); got != want {
					t.Errorf("the hosts run %s, want %s: %s", got, want, states(result))
				}
			})
		})
	}
}

// What was seen once, and is over, says nothing about an instance: neither alone nor when it is rolled back with others.
func TestInstanceThatRunsAgainIsNotSaidToDiffer(t *testing.T) {
	for name, test := range map[string]struct {
		last  func(string) simhost.Behavior
		state rollout.State
		says  string
	}{
		"all are healthy":    {healthy, rollout.Deployed, "0.1.30-dev runs"},
		"a later wave fails": {unhealthy, rollout.RolledBack, "ran the release, and was rolled back"},
	} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(3, "0.1.29-dev")
				hosts[1].NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Duration: 30 * time.Second} }
				hosts[2].NextBehavior = test.last
				time.AfterFunc(20*time.Second, func() { hosts[0].SetDrift("inactive") })
				time.AfterFunc(35*time.Second, func() { hosts[0].SetDrift() })
				plan := f.plan("0.1.30-dev", ids...)
				plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Hosts: 2}, {Percent: 100}}
				result, _ := f.runPlan(plan)
				if got := result.Hosts[0]; got.State != test.state || got.Message != test.says || len(got.Drift) > 0 || got.Report.Outcome != deploy.OutcomeDeployed {
					t.Errorf("%s: %s, drift %q, %+v", got.State, got.Message, got.Drift, got.Report)
				}
			})
		})
	}
}

// The answer of an instance is old when another one of its wave has waited long for a job.
func TestInstanceThatFailsBeforeItsWaveHasEnded(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		hosts[0].NextBehavior = failsAfter(time.Minute)
		hosts[1].NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Drain: 5 * time.Minute} }
		plan := f.plan("0.1.30-dev", ids...)
		plan.Time.Command = 10 * time.Minute
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "instance i-01 (name-of-i-01): rolled-back: it was healthy, and now it runs 0.1.30-dev", "1 instance that ran it rolled back")
		if got := states(result); got != "i-01 rolled-back, i-02 rolled-back" || installedVersions(hosts) != "0.1.29 0.1.29" {
			t.Errorf("%s: %s, the hosts run %s", result.Status, got, installedVersions(hosts))
		}
	})
}

// The answers of a wave are lost, and one instance answers long before the other when it is asked again.
func TestInstanceThatFailsAfterItWasAskedForALostAnswer(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		hosts[0].NextBehavior = func(version string) simhost.Behavior {
			if version == "0.1.29-dev" {
				return simhost.Behavior{}
			}
			return simhost.Behavior{Duration: time.Second, FailsAfter: 30 * time.Second}
		}
		hosts[1].NextBehavior = func(version string) simhost.Behavior {
			if version == "0.1.29-dev" {
				return simhost.Behavior{}
			}
			return simhost.Behavior{Duration: 110 * time.Second}
		}
		for i, host := range hosts {
			f.AddInstance(localaws.Instance{ID: ids[i], Name: "name-of-" + ids[i], Machine: host, InjectFault: func(v localaws.Invocation) *localaws.DeliveryFault {
				if !strings.Contains(v.Script, "\nset -- deploy ") {
					return nil
				}
				return &localaws.DeliveryFault{Status: "DeliveryTimedOut", Code: -1, Runs: 1, StatusFirst: i == 1}
			}})
		}
		result, err := f.runPlan(f.plan("0.1.30-dev", ids...))
		wantErrorParts(t, err, "instance i-01 (name-of-i-01): rolled-back: it was healthy, and now it runs 0.1.30-dev", "1 instance that ran it rolled back")
		if got := states(result); got != "i-01 rolled-back, i-02 rolled-back" || installedVersions(hosts) != "0.1.29 0.1.29" {
			t.Errorf("%s: %s, the hosts run %s", result.Status, got, installedVersions(hosts))
		}
	})
}
