package rollout_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

func TestJobsThatHaveNotEndedOrWereNotRunAreNotCalledDeployed(t *testing.T) {
	for state, behavior := range map[rollout.State]simhost.Behavior{rollout.Installed: {NotRun: true}, rollout.Running: {AtWork: true}} {
		onFixture(t, func(t *testing.T, f *fixture) {
			ids, hosts := f.addHosts(2, "0.1.29-dev")
			hosts[0].NextBehavior = func(string) simhost.Behavior { return behavior }
			plan := f.plan("0.1.30-dev", ids...)
			plan.Rollout.Policy.RunOnDeploy = state != rollout.Installed
			result, err := f.runPlan(plan)
			if current, _ := f.locks.ReadCurrent(t.Context()); current.Version != "0.1.30-dev" || current.Verified || f.latestDigest() != "" {
				t.Errorf("current is %+v, latest-dev is %s", current, f.latestDigest())
			}
			if err != nil || result.Status != rollout.OutcomeSuccess || result.Hosts[0].State != state || result.Hosts[1].State != rollout.Deployed {
				t.Fatalf("%s, %s and %s: %v", result.Status, result.Hosts[0].State, result.Hosts[1].State, err)
			}
			if hosts[0].State().Verified {
				t.Error("it is verified")
			}
			status, err := f.runPlan(f.statusPlan(ids...))
			if err != nil || status.Hosts[0].State != state {
				t.Errorf("the status is %s: %v", status.Hosts[0].State, err)
			}
		})
	}
}

func TestContainerThatWasRemovedIsMissedAndStartedAgain(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		f.deployVersions(ids, "0.1.30-dev")
		hosts[0].RemoveContainer()
		status, err := f.runPlan(f.statusPlan(ids...))
		if got := status.Hosts[0]; err != nil || got.State != rollout.Drifted || strings.Join(got.Drift, " ") != "container" {
			t.Errorf("%s %v: %v", got.State, got.Drift, err)
		}
		plan := f.plan("0.1.30-dev", ids...)
		plan.DeploymentID = "d-2"
		result, err := f.runPlan(plan)
		if err != nil || result.Hosts[0].Wave != 1 || !result.Hosts[0].Changed || result.Hosts[1].Changed || hosts[0].State().Evidence != deploy.EvidenceRunning {
			t.Errorf("changed: %t and %t, %+v: %v", result.Hosts[0].Changed, result.Hosts[1].Changed, hosts[0].State(), err)
		}
	})
}

// A run has its command wait for a long job, and its runner dies. A later run rolls back to what
// is installed, which would be changed as soon as the job has ended.
func TestRollbackWaitsForAHostThatIsBusyOrIsRed(t *testing.T) {
	for name, test := range map[string]struct {
		drain time.Duration
		state rollout.State
	}{
		"the job ends soon": {30 * time.Second, rollout.Deployed},
		"it does not":       {10 * time.Minute, rollout.NotDeployed},
	} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				ids, hosts := f.addHosts(1, "")
				f.deployVersions(ids, "0.1.29-dev", "0.1.30-dev")
				hosts[0].NextBehavior = func(version string) simhost.Behavior {
					if version == "0.1.31-dev" {
						return simhost.Behavior{Drain: test.drain}
					}
					return simhost.Behavior{}
				}
				go hosts[0].Run(context.WithoutCancel(t.Context()), deadDeploy(t, "0.1.31-dev"), nil)
				time.Sleep(time.Second)
				result, err := f.runPlan(f.rollbackPlan("0.1.30-dev", ids...))
				if got := result.Hosts[0]; got.State != test.state || (err == nil) != (test.state == rollout.Deployed) {
					t.Errorf("%s: %s, %v", got.State, got.Message, err)
				}
				time.Sleep(time.Hour)
				if got := hosts[0].State(); got.Version != "0.1.30-dev" || got.Runs != got.Digest {
					t.Errorf("an hour later the host runs %s", got.Version)
				}
			})
		})
	}
}

// deadDeploy is the command of a run that has died since.
func deadDeploy(t *testing.T, version string) string {
	t.Helper()
	lines, err := deploy.Script(deploy.ReleaseRequest{
		Header:  deploy.Header{Service: "atta", DeploymentID: "dead", Generation: 2, NotAfter: time.Now().Add(time.Hour)},
		Version: version, Image: "registry/atta@" + digestOf(version), Region: "us-east-1", BundleURI: "s3://artifacts/key",
		BundleSHA256: strings.Repeat("0", 64), Policy: defaultPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
