package rollout_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/localaws"
)

// One instance of the first wave of a rollback loses its connection between its answer and the command.
func TestARollbackGoesOnWithoutAnInstanceThatDisappearsBeforeTheFirstWave(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(4, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: hosts[0], InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if strings.Contains(i.Script, "\nset -- status ") {
				f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", PingStatus: "ConnectionLost"})
			}
			return nil
		}})
		plan := f.rollbackPlan("", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 2}, {Percent: 100}}
		result, err := f.runPlan(plan)
		if err == nil || installedVersions(hosts) != "0.1.29 0.1.28 0.1.28 0.1.28" {
			t.Errorf("%s: the others run %s: %v", states(result), installedVersions(hosts[1:]), err)
		}
	})
}
