package rollout_test

import (
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
)

func TestAHostThatCannotFollowIsKnownBeforeAnotherHasChanged(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.29-dev")
		hosts[2].Unfit = "the Docker engine does not answer"
		for _, waves := range [][]inputs.Wave{{{Percent: 100}}, {{Hosts: 1}, {Percent: 100}}} {
			plan := f.plan("0.1.30-dev", ids...)
			plan.Rollout.Waves = waves
			result, err := f.runPlan(plan)
			wantErrorParts(t, err, "1 of 3 instances are not known to run the release", "instance i-03 (name-of-i-03): not-deployed: the Docker engine does not answer", "2 instances not touched")
			if result.Status != rollout.OutcomeFailed || installedVersions(hosts) != "0.1.29 0.1.29 0.1.29" || hosts[0].State().Changes+hosts[1].State().Changes != 0 {
				t.Errorf("%s, the hosts run %s", result.Status, installedVersions(hosts))
			}
		}
	})
}

func TestADeployToASingleHostSendsNoCheck(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev")
		if _, err := f.runPlan(f.plan("0.1.30-dev", "i-1")); err != nil {
			t.Fatal(err)
		}
		wantLines(t, "groups", f.console.groups, "Read", "Preflight", "Push image", "Upload bundle", "Roll out", "Move tags")
	})
}
