package rollout_test

import (
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

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
