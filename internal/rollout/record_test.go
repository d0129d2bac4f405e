package rollout_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
)

func TestResultIsRecordedInTheHistory(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev")
		bad := f.addHost("i-2", "")
		bad.NextBehavior = unhealthy
		plan := f.plan("0.1.30-dev", "i-1", "i-2")
		plan.Holder.Actor = "ann"
		result, err := f.runPlan(plan)
		if err == nil {
			t.Fatal("the deploy succeeded")
		}
		content, _ := f.Object(bucket, leasePrefix+"history/"+plan.DeploymentID+".json")
		var record rollout.Record
		if err := json.Unmarshal(content, &record); err != nil {
			t.Fatalf("%s: %v", content, err)
		}
		if record.Holder.Since.IsZero() || time.Since(record.Holder.Since) > time.Minute {
			t.Errorf("since %v", record.Holder.Since)
		}
		record.Holder.Since = time.Time{}
		want := rollout.Record{
			Format: 1, Operation: rollout.Deploy, Service: "atta", Environment: "dev", Version: "0.1.30-dev", Source: "image.tar",
			Image: result.Image.URI, Digest: result.Image.Digest, Bundle: result.Bundle.URI,
			Status: rollout.OutcomeRolledBack, Generation: 1, Holder: plan.Holder, Seconds: int(result.Elapsed / time.Second), CommandIDs: result.CommandIDs,
			Hosts: []rollout.HostRecord{
				{Instance: "i-1", Name: "name-of-i-1", State: rollout.RolledBack, Wave: 1, Before: "0.1.29-dev", Runs: "0.1.29-dev", Digest: digestOf("0.1.29-dev"), Says: "ran the release, and was rolled back"},
				{Instance: "i-2", Name: "name-of-i-2", State: rollout.RolledBack, Wave: 1, Says: "unhealthy; nothing is installed"},
			},
		}
		if diff := cmp.Diff(want, record); diff != "" {
			t.Error(diff)
		}
		// A record that cannot be written does not fail the run.
		bad.NextBehavior, plan.Rollout.Policy.AllowQuarantined = healthy, true
		f.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: "/history/", Error: &localaws.Error{Status: 403, Code: "AccessDenied", Message: "no"}})
		plan.DeploymentID = "d-2"
		if result, err := f.runPlan(plan); err != nil || result.Status != rollout.OutcomeSuccess {
			t.Errorf("%s: %v", result.Status, err)
		}
		if log := strings.Join(f.console.log, "\n"); !strings.Contains(log, "The run is not in the history: ") {
			t.Error(log)
		}
		f.holdLock()
	})
}
