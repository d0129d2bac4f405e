package rollout_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
)

// held takes the lock for another run.
func (f *fixture) held() *lease.Lease {
	f.t.Helper()
	lock, err := f.locks.Acquire(f.t.Context(), lease.Holder{Deployment: "the-other", Version: "0.1.31-dev", Actor: "ann"}, 0, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = lock.Release(context.Background()) })
	return lock
}

func TestARunThatDoesNotGetTheLockTouchesNothing(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.host("i-1", "0.1.29-dev")
		f.held()
		plan := f.plan("0.1.30-dev", "i-1")
		plan.Time.Lock = 300 * time.Millisecond
		result, err := f.deploy(plan)
		wantParts(t, err, "the lock is held by deployment the-other of 0.1.31-dev by ann")
		var held *lease.HeldError
		if !errors.As(err, &held) || result.Status != rollout.OutcomeFailed || machine.State().Changes != 0 {
			t.Errorf("%s after %d deploys: %v", result.Status, machine.State().Changes, err)
		}
		wantLines(t, "changes", f.changes())
		if log := strings.Join(f.console.log, "\n"); !strings.Contains(log, "waiting for up to 300ms: the lock is held by deployment the-other") {
			t.Error(log)
		}
	})
}

// An older version that waited in line must not replace the newer one it waited for.
func TestAVersionThatWaitedInLineMeetsTheOneBeforeIt(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.host("i-1", "0.1.29-dev")
		other := f.held()
		time.AfterFunc(500*time.Millisecond, func() {
			machine.SetInstalled("0.1.31-dev", digestOf("0.1.31-dev"))
			_ = other.Release(context.Background())
		})
		plan := f.plan("0.1.30-dev", "i-1")
		plan.Time.Lock = time.Minute
		_, err := f.deploy(plan)
		var downgrade *release.DowngradeError
		if !errors.As(err, &downgrade) || machine.State().Changes != 0 {
			t.Errorf("after %d deploys the error is %v", machine.State().Changes, err)
		}
	})
}

func TestTheLockIsFreeAfterARunHoweverItEnds(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.host("i-1", "0.1.29-dev")
		for i, end := range []func(){func() {}, func() { machine.SetInstalled("0.1.29-dev", digestOf("0.1.29-dev")); machine.NextBehavior = unwell }, func() { machine.SetInstalled("9.0.0-dev", digestOf("9.0.0-dev")) }} {
			end()
			plan := f.plan("0.1.30-dev", "i-1")
			plan.DeploymentID = fmt.Sprintf("d-%d", i)
			_, err := f.deploy(plan)
			if (err == nil) != (i == 0) {
				t.Error(err)
			}
			lock := f.held()
			if want := int64(2*i + 2); lock.Generation() != want {
				t.Errorf("generation %d, want %d", lock.Generation(), want)
			}
			if err := lock.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestACancelledRunFreesItsLock(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.host("i-1", "0.1.29-dev")
		begun := make(chan struct{})
		machine.NextBehavior = endless(begun)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-begun
			cancel()
		}()
		result, err := rollout.Run(ctx, f.plan("0.1.30-dev", "i-1"), f, f.console)
		if err == nil || result.Status != rollout.OutcomeCancelled {
			t.Errorf("%s: %v", result.Status, err)
		}
		f.held()
	})
}

func TestWhatARunHasComeToIsInTheHistory(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.host("i-1", "0.1.29-dev")
		bad := f.host("i-2", "")
		bad.NextBehavior = unwell
		plan := f.plan("0.1.30-dev", "i-1", "i-2")
		plan.Holder.Actor = "ann"
		result, err := f.deploy(plan)
		if err == nil {
			t.Fatal("it went well")
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
		// A history that cannot be written changes nothing else.
		bad.NextBehavior, plan.Rollout.Policy.AllowQuarantined = well, true
		f.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: "/history/", Error: &localaws.Error{Status: 403, Code: "AccessDenied", Message: "no"}})
		plan.DeploymentID = "d-2"
		if result, err := f.deploy(plan); err != nil || result.Status != rollout.OutcomeSuccess {
			t.Errorf("%s: %v", result.Status, err)
		}
		if log := strings.Join(f.console.log, "\n"); !strings.Contains(log, "The run is not in the history: ") {
			t.Error(log)
		}
		f.held()
	})
}

// losing is a ledger whose locks are lost when it is told so.
type losing struct {
	locks
	lose context.CancelCauseFunc
}

func (l *losing) Acquire(ctx context.Context, holder lease.Holder, wait time.Duration, waiting func(*lease.HeldError)) (*lease.Lease, error) {
	ctx, l.lose = context.WithCancelCause(ctx)
	return l.locks.Acquire(ctx, holder, wait, waiting)
}

func TestARunThatLosesItsLockGoesNoFurther(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.host("i-1", "0.1.29-dev")
		begun := make(chan struct{})
		machine.NextBehavior = endless(begun)
		lock := &losing{locks: f.locks}
		f.locks = lock
		go func() {
			<-begun
			lock.lose(lease.ErrLost)
		}()
		result, err := f.deploy(f.plan("0.1.30-dev", "i-1"))
		wantParts(t, err, "another run may deploy now", "instance i-1 (name-of-i-1): unknown")
		if result.Status != rollout.OutcomeUnknown || f.alias() != "" {
			t.Errorf("%s, latest-dev is %q", result.Status, f.alias())
		}
		if changes := f.changes(); changes[len(changes)-1] != "ssm:CancelCommand "+result.CommandIDs[0] {
			t.Errorf("changes are %q", changes)
		}
	})
}

// The ledger of another bucket begins anew; hosts have seen more.
func TestTheGenerationIsHigherThanWhatHostsHaveSeen(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.host("i-1", "0.1.29-dev")
		machine.SetGeneration(57)
		if _, err := f.deploy(f.plan("0.1.30-dev", "i-1")); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(machine.State().Command, " --generation=58 ") {
			t.Error(machine.State().Command)
		}
	})
}
