package rollout_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// silentEngine is a host whose Docker engine does not answer any more when it is asked about a rollback.
type silentEngine struct{ *simhost.Host }

func (h silentEngine) Run(ctx context.Context, script string, env []string) localaws.Exit {
	exit := h.Host.Run(ctx, script, env)
	if strings.Contains(script, "\nset -- status ") && strings.Contains(script, "--about=") {
		exit.Stdout = bytes.ReplaceAll(exit.Stdout, []byte(`"evidence":"running"`), []byte(`"evidence":""`))
		exit.Stdout = bytes.ReplaceAll(exit.Stdout, []byte(`"drift":null`), []byte(`"drift":["engine"]`))
		exit.Stdout = bytes.ReplaceAll(exit.Stdout, []byte(`"drift":[]`), []byte(`"drift":["engine"]`))
	}
	return exit
}

// The answer of the first instance of a rollback in waves is lost, and then its Docker engine does not answer, which says nothing
// about the release. The others run the bad release.
func TestAnEngineThatDoesNotAnswerDoesNotKeepTheOthersOnTheBadRelease(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: silentEngine{hosts[0]}, InjectFault: loseAnswers(1)})
		plan := f.rollbackPlan("", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 100}}
		result, err := f.runPlan(plan)
		if err == nil || installedVersions(hosts[1:]) != "0.1.28 0.1.28" {
			t.Errorf("%s: the others run %s: %v", states(result), installedVersions(hosts[1:]), err)
		}
	})
}

// SSM reports that a command was not delivered, and the instance carries it out, for longer than two minutes, and says so
// when it is asked.
func TestADeployThatIsUnderWayDoesNotGoOnAfterTheRunHasRolledTheOthersBack(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		hosts[0].NextBehavior = func(version string) simhost.Behavior {
			if version == "0.1.29-dev" {
				return simhost.Behavior{}
			}
			return simhost.Behavior{Duration: 5 * time.Minute}
		}
		f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: hosts[0], InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if !strings.Contains(i.Script, "\nset -- deploy ") {
				return nil
			}
			return &localaws.DeliveryFault{Status: "DeliveryTimedOut", Code: -1, StatusFirst: true, Delay: time.Millisecond}
		}})
		plan := f.plan("0.1.30-dev", ids...)
		plan.Time.Command = 10 * time.Minute
		result, err := f.runPlan(plan)
		ended := states(result)
		time.Sleep(15 * time.Minute)
		if runs := installedVersions(hosts); (err == nil) != (runs == "0.1.30 0.1.30") || err != nil && runs != "0.1.29 0.1.29" {
			t.Errorf("the run ended with %s: %v\na quarter of an hour later the instances run %s", ended, err, runs)
		}
	})
}

// The agent of one instance cannot start the script of a rollback, and the instance says later that it knows nothing of it. It
// runs what it ran before. The two versions differ in their settings only, and have one image.
func TestAnInstanceThatWasNotRolledBackIsNotTakenForRolledBack(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		for _, version := range []string{"0.1.28-dev", "0.1.29-dev"} {
			if _, err := f.runPlan(f.plan(version, ids...)); err != nil {
				t.Fatal(err)
			}
		}
		f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: hosts[0], InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if !strings.Contains(i.Script, "\nset -- rollback ") {
				return nil
			}
			return &localaws.DeliveryFault{Status: "Failed", Code: 1}
		}})
		result, err := f.runPlan(f.rollbackPlan("", ids...))
		if err == nil || result.Status == rollout.OutcomeSuccess || result.Hosts[0].State == rollout.Deployed {
			t.Errorf("%s: %s, the hosts run %s: %v", result.Status, states(result), installedVersions(hosts), err)
		}
	})
}

// The runner of an earlier run of the same version was killed; its command is at work on an instance when this run asks what
// runs there, and succeeds. This run fails on another instance.
func TestWhatAKilledRunWasStillDeployingIsRolledBackWithTheOthers(t *testing.T) {
	for name, killed := range map[string]struct {
		hasImage bool // 0.1.30-dev has new settings, and the image of 0.1.29-dev
		behavior simhost.Behavior
	}{
		"a new image":            {false, simhost.Behavior{Duration: 30 * time.Second}},
		"the image of the other": {true, simhost.Behavior{Drain: 30 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(2, "0.1.29-dev")
				if killed.hasImage {
					ids, hosts = f.addHosts(2, "")
					if _, err := f.runPlan(f.plan("0.1.29-dev", ids...)); err != nil {
						t.Fatal(err)
					}
				}
				push := f.plan("0.1.30-dev")
				push.Phases = inputs.Phases{Image: true, Bundle: true}
				if _, err := f.runPlan(push); err != nil {
					t.Fatal(err)
				}
				digest, err := f.repository.Resolve(t.Context(), "0.1.30-dev")
				if err != nil {
					t.Fatal(err)
				}
				hosts[0].NextBehavior = func(string) simhost.Behavior { return killed.behavior }
				hosts[1].NextBehavior = unhealthy
				go hosts[0].Run(t.Context(), fmt.Sprintf("#!/bin/bash\nset -- deploy --service=atta --version=0.1.30-dev --deployment=d-killed --image=h/atta@%s --not-after=99999999999\n", digest), nil)
				time.Sleep(time.Second)
				if !hosts[0].State().Busy {
					t.Fatal("nothing is at work")
				}
				result, err := f.runPlan(f.plan("0.1.30-dev", ids...))
				if err == nil || installedVersions(hosts) != "0.1.29 0.1.29" {
					t.Errorf("%s, the hosts run %s: %v", states(result), installedVersions(hosts), err)
				}
			})
		})
	}
}
