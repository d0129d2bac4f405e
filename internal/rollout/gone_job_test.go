package rollout_test

import (
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// A job that was at work is stopped, and removed, before it has ended: no run of the release was seen to succeed.
func TestAJobThatIsGoneInALaterLookIsNotASuccess(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		hosts[0].NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{AtWork: true} }
		hosts[1].NextBehavior = slowly
		time.AfterFunc(30*time.Second, hosts[0].RemoveContainer)
		result, err := f.runPlan(f.planInWaves("0.1.30-dev", ids...))
		if err == nil || result.Status == rollout.OutcomeSuccess {
			t.Errorf("%s: %s, %v", result.Status, states(result), result.Hosts[0].Message)
		}
	})
}
