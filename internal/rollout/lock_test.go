package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// holdLock acquires the lock for another run.
func (f *fixture) holdLock() *lease.Lease {
	f.t.Helper()
	lock, err := f.locks.Acquire(f.t.Context(), lease.Holder{Deployment: "the-other", Version: "0.1.31-dev", Actor: "ann"}, 0, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = lock.Release(context.Background()) })
	return lock
}

func TestDeployChangesNothingWithoutTheLock(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.addHost("i-1", "0.1.29-dev")
		f.holdLock()
		plan := f.plan("0.1.30-dev", "i-1")
		plan.Time.Lock = 300 * time.Millisecond
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "the lock is held by deployment the-other of 0.1.31-dev by ann")
		var held *lease.HeldError
		if !errors.As(err, &held) || result.Status != rollout.OutcomeFailed || machine.State().Changes != 0 {
			t.Errorf("%s after %d deploys: %v", result.Status, machine.State().Changes, err)
		}
		wantLines(t, "changes", f.mutatingRequests())
		if log := strings.Join(f.console.log, "\n"); !strings.Contains(log, "waiting for up to 300ms, until 00:00:00 UTC: the lock is held by deployment the-other") {
			t.Error(log)
		}
	})
}

// An older version that waited for the lock must not replace the newer one that held it.
func TestVersionIsCheckedAfterWaitingForTheLock(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.addHost("i-1", "0.1.29-dev")
		other := f.holdLock()
		time.AfterFunc(500*time.Millisecond, func() {
			machine.SetInstalled("0.1.31-dev", digestOf("0.1.31-dev"))
			_ = other.Release(context.Background())
		})
		plan := f.plan("0.1.30-dev", "i-1")
		plan.Time.Lock = time.Minute
		_, err := f.runPlan(plan)
		var downgrade *release.DowngradeError
		if !errors.As(err, &downgrade) || machine.State().Changes != 0 {
			t.Errorf("after %d deploys the error is %v", machine.State().Changes, err)
		}
	})
}

func TestLockIsReleasedHoweverTheRunEnds(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.addHost("i-1", "0.1.29-dev")
		prepare := []func(){
			func() {}, // succeeds
			func() { // unhealthy
				machine.SetInstalled("0.1.29-dev", digestOf("0.1.29-dev"))
				machine.NextBehavior = unhealthy
			},
			func() { machine.SetInstalled("9.0.0-dev", digestOf("9.0.0-dev")) }, // a downgrade
		}
		for i, prepareRun := range prepare {
			prepareRun()
			plan := f.plan("0.1.30-dev", "i-1")
			plan.DeploymentID = fmt.Sprintf("d-%d", i)
			_, err := f.runPlan(plan)
			if (err == nil) != (i == 0) {
				t.Error(err)
			}
			lock := f.holdLock()
			if want := int64(2*i + 2); lock.Generation() != want {
				t.Errorf("generation %d, want %d", lock.Generation(), want)
			}
			if err := lock.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestCancelledRunReleasesItsLock(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.addHost("i-1", "0.1.29-dev")
		started := make(chan struct{})
		machine.NextBehavior = neverEnding(started)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-started
			cancel()
		}()
		result, err := rollout.Run(ctx, f.plan("0.1.30-dev", "i-1"), f, f.console)
		if err == nil || result.Status != rollout.OutcomeCancelled {
			t.Errorf("%s: %v", result.Status, err)
		}
		f.holdLock()
	})
}

// losableLocks hands out locks that are lost when lose is called.
type losableLocks struct {
	locks
	lose context.CancelCauseFunc
}

func (l *losableLocks) Acquire(ctx context.Context, holder lease.Holder, wait time.Duration, waiting func(*lease.HeldError)) (*lease.Lease, error) {
	ctx, l.lose = context.WithCancelCause(ctx)
	return l.locks.Acquire(ctx, holder, wait, waiting)
}

func TestRunStopsWhenItLosesTheLock(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.addHost("i-1", "0.1.29-dev")
		started := make(chan struct{})
		machine.NextBehavior = neverEnding(started)
		lock := &losableLocks{locks: f.locks}
		f.locks = lock
		go func() {
			<-started
			lock.lose(lease.ErrLost)
		}()
		result, err := f.runPlan(f.plan("0.1.30-dev", "i-1"))
		wantErrorParts(t, err, "another run may deploy now", "instance i-1 (name-of-i-1): unknown")
		if result.Status != rollout.OutcomeUnknown || f.latestDigest() != "" {
			t.Errorf("%s, latest-dev is %q", result.Status, f.latestDigest())
		}
		if changes := f.mutatingRequests(); changes[len(changes)-1] != "ssm:CancelCommand "+result.CommandIDs[0] {
			t.Errorf("changes are %q", changes)
		}
	})
}
