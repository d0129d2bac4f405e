package rollout_test

import (
	"testing"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// The first run was killed, or could not write, before it recorded what every instance runs. Deployed again with a health
// check that fails, the release is back where it was healthy all the time: its image is not to blame.
func TestAnImageThatTheFailedInstanceRunsAgainIsNotQuarantined(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		f.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: "current.json", Error: &localaws.Error{Status: 403, Code: "AccessDenied", Message: "denied"}})
		_, err := f.runPlan(f.plan("0.1.30-dev", ids...))
		wantErrorParts(t, err, "0.1.30-dev runs, and was not recorded as current")
		f.ClearFaults()
		for _, host := range hosts {
			host.SetDrift("timer") // it is deployed again
			host.NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Unhealthy: true} }
		}
		again := f.plan("0.1.30-dev", ids...)
		again.DeploymentID, again.Holder.Deployment = "d-again", "d-again"
		result, err := f.runPlan(again)
		if err == nil || states(result) != "i-01 rolled-back, i-02 rolled-back" || hosts[0].State().Version != "0.1.30-dev" || !hosts[0].State().Verified {
			t.Fatal(states(result), err)
		}
		current, err := f.locks.ReadCurrent(t.Context())
		if err != nil || len(current.Quarantined) > 0 {
			t.Errorf("an image that was healthy here before, and is again, is quarantined: %+v, %v", current.Quarantined, err)
		}
		for _, host := range hosts {
			host.NextBehavior = healthy
		}
		repaired := f.plan("0.1.30-dev", ids...)
		repaired.DeploymentID, repaired.Holder.Deployment = "d-repaired", "d-repaired"
		if _, err := f.runPlan(repaired); err != nil {
			t.Errorf("with the health check repaired: %v", err)
		}
	})
}
