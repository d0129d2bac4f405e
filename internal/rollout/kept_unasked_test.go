package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

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
