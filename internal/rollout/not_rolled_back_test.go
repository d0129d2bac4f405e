package rollout_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
)

// The agent of one instance cannot start the script of a rollback, and the instance says later that it knows nothing of it. It
// runs what it ran before. The two versions differ in their settings only, and have one image.
func TestAnInstanceThatWasNotRolledBackIsNotTakenForRolledBack(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		for _, version := range []string{"0.1.28-dev", "0.1.29-dev"} {
			if _, err := f.runPlan(f.plan(version, ids...)); err != nil {
				t.Fatal(err)
			}
		}
		f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: hosts[0], InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if !strings.Contains(i.Script, "\nset -- rollback ") {
				return nil
			}
			return &localaws.DeliveryFault{Status: "Failed", Code: 1}
		}})
		result, err := f.runPlan(f.rollbackPlan("", ids...))
		if err == nil || result.Status == rollout.OutcomeSuccess || result.Hosts[0].State == rollout.Deployed {
			t.Errorf("%s: %s, the hosts run %s: %v", result.Status, states(result), installedVersions(hosts), err)
		}
	})
}
