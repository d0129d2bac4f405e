package rollout_test

import (
	"testing"
	"time"

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
