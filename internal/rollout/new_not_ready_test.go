package rollout_test

import (
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// An instance that an auto scaling group has just started has no Docker, or no settings, yet. What cannot be deployed to says
// nothing about the release.
func TestANewInstanceThatIsNotReadyRollsNothingBack(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		dev := map[string]string{"Environment": "dev"}
		first, second := simhost.New("0.1.29-dev", digestOf("x")), simhost.New("", "")
		second.NextBehavior = func(string) simhost.Behavior {
			return simhost.Behavior{Refusal: "/opt/atta/.env lacks TOKEN, which 0.1.30-dev needs", Reason: deploy.ReasonSettingsMissing}
		}
		first.NextBehavior = func(string) simhost.Behavior {
			f.AddInstance(localaws.Instance{ID: "i-2", Machine: second, Tags: dev})
			return simhost.Behavior{}
		}
		f.AddInstance(localaws.Instance{ID: "i-1", Machine: first, Tags: dev})
		plan := f.plan("0.1.30-dev")
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "i-2: not-deployed: /opt/atta/.env lacks TOKEN")
		f.wantKept(result, first)
	})
}
