package rollout_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// Every instance refuses a rollback, or has disappeared. None runs its target, and the record must not say so, nor the message.
func TestARollbackThatEveryInstanceRefusesIsNotRecorded(t *testing.T) {
	for name, lacks := range map[string]bool{"all hold the target": false, "one lacks it": true} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(2, "")
				f.deployVersions(ids, "0.1.28-dev", "0.1.29-dev")
				if lacks {
					hosts[1].ForgetReleases()
				}
				for _, host := range hosts {
					host.NextBehavior = func(string) simhost.Behavior {
						return simhost.Behavior{Refusal: "not enough room", Reason: deploy.ReasonNoSpace}
					}
				}
				result, err := f.runPlan(f.rollbackPlan("0.1.28-dev", ids...))
				current, _ := f.locks.ReadCurrent(t.Context())
				if current.Version != "0.1.29-dev" {
					t.Errorf("%s: the hosts run %s, and recorded is %s", states(result), installedVersions(hosts), current.Version)
				}
				if err == nil || strings.Contains(err.Error(), "every other instance runs 0.1.28-dev") || strings.Contains(err.Error(), "run different images as 0.1.28-dev: ;") {
					t.Errorf("%v", err)
				}
			})
		})
	}
}
