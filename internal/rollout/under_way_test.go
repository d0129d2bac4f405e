package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

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
