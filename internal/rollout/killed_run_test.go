package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

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
