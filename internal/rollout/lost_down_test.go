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

// The answer of an instance is lost. Asked again it says, for two minutes, that it has deployed the release, and that it does
// not run: it can be reached, and its previous release was healthy.
func TestAReleaseThatIsDownIsRolledBackAlsoWhenItsAnswerWasLost(t *testing.T) {
	for name, lost := range map[string]bool{"answered": false, "lost": true} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(2, "0.1.29-dev")
				hosts[0].NextBehavior = failsAfter(time.Second)
				hosts[1].NextBehavior = func(version string) simhost.Behavior {
					if version == "0.1.29-dev" {
						return simhost.Behavior{}
					}
					return simhost.Behavior{Duration: 90 * time.Second}
				}
				if lost {
					f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: hosts[0], InjectFault: loseAnswers(1)})
				}
				result, err := f.runPlan(f.plan("0.1.30-dev", ids...))
				if states(result) != "i-01 rolled-back, i-02 rolled-back" || err == nil || hosts[0].State().Version != "0.1.29-dev" || hosts[1].State().Version != "0.1.29-dev" || result.Status == rollout.OutcomeSuccess {
					t.Errorf("i-01 runs %s (failed since %s), i-02 %s: %s, %v", hosts[0].State().Version, hosts[0].State().FailedSince, hosts[1].State().Version, states(result), err)
				}
			})
		})
	}
}

// The release ends at once on a new instance, whose answer was lost. Asked again it says, for two minutes, that it has deployed
// the release, and that the container has failed. It has tried it.
func TestAReleaseThatFailsOnANewInstanceIsRolledBackAlsoWhenItsAnswerWasLost(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		dev := map[string]string{"Environment": "dev"}
		first, second := simhost.New("0.1.29-dev", digestOf("x")), simhost.New("0.1.29-dev", digestOf("x"))
		second.NextBehavior = failsAfter(time.Millisecond)
		first.NextBehavior = func(version string) simhost.Behavior {
			if version == "0.1.30-dev" {
				f.AddInstance(localaws.Instance{ID: "i-2", Machine: second, Tags: dev, InjectFault: loseAnswers(1)})
			}
			return simhost.Behavior{}
		}
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: first, Tags: dev})
		plan := f.plan("0.1.30-dev")
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		result, err := f.runPlan(plan)
		if err == nil || first.State().Version != "0.1.29-dev" || second.State().Version != "0.1.29-dev" {
			t.Errorf("%s: i-1 runs %s, i-2 %s, whose release has failed: %v", states(result), first.State().Version, second.State().Version, err)
		}
	})
}

// failingJob is a host on which each run of the job 0.1.29-dev, which a timer starts, fails.
type failingJob struct{ *simhost.Host }

func (h failingJob) Run(ctx context.Context, script string, env []string) localaws.Exit {
	exit := h.Host.Run(ctx, script, env)
	if strings.Contains(script, "\nset -- status ") && bytes.Contains(exit.Stdout, []byte(`"version":"0.1.29-dev"`)) {
		exit.Stdout = bytes.ReplaceAll(exit.Stdout, []byte(`"evidence":"running"`), []byte(`"evidence":"failed"`))
		for _, drift := range []string{`"drift":null`, `"drift":[]`} {
			exit.Stdout = bytes.ReplaceAll(exit.Stdout, []byte(drift), []byte(`"drift":["last-run"]`))
		}
	}
	return exit
}

// The last run of a job had failed before the deploy, as does the next one after it. The deploy is rolled back, and its answer is lost.
func TestAJobThatHadFailedBeforeIsRolledBackAlsoWhenTheAnswerIsLost(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(1, "0.1.29-dev")
		hosts[0].NextBehavior = unhealthy
		f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: failingJob{hosts[0]}, InjectFault: loseAnswers(1)})
		result, err := f.runPlan(f.plan("0.1.30-dev", ids...))
		if got := result.Hosts[0]; got.State != rollout.RolledBack {
			t.Errorf("%s: %s, %v", got.State, got.Message, err)
		}
	})
}

// The release ends on the first instance while a new one, which is busy, refuses it only after a minute.
func TestAnInstanceIsAskedAgainBeforeItIsSaidToKeepTheRelease(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		dev := map[string]string{"Environment": "dev"}
		first, second := simhost.New("0.1.29-dev", digestOf("x")), simhost.New("0.1.29-dev", digestOf("x"))
		second.NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Drain: 10 * time.Minute} }
		go second.Run(t.Context(), fmt.Sprintf("#!/bin/bash\nset -- deploy --service=atta --version=0.1.30-dev --deployment=d-other --image=h/atta@%s --not-after=99999999999\n", digestOf("y")), nil)
		first.NextBehavior = func(version string) simhost.Behavior {
			if version != "0.1.30-dev" {
				return simhost.Behavior{}
			}
			f.AddInstance(localaws.Instance{ID: "i-2", Machine: second, Tags: dev})
			return simhost.Behavior{FailsAfter: 20 * time.Second}
		}
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: first, Tags: dev})
		plan := f.plan("0.1.30-dev")
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		start := time.Now()
		result, err := f.runPlan(plan)
		if host := result.Hosts[0]; err == nil || host.State == rollout.Deployed && first.State().Version == "0.1.30-dev" {
			current, _ := f.locks.ReadCurrent(t.Context())
			t.Errorf("%s, recorded is %s; i-1 failed at %s, and the run ended at %s: %v", states(result), current.Version, first.State().FailedSince.Sub(start), time.Since(start), err)
		}
	})
}
