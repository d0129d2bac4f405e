package lease_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/localaws"
)

func TestLeaseIsRenewedEveryTwentySeconds(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		held := acquireNow(t, s, "long")
		for n := range 30 {
			time.Sleep(20 * time.Second)
			synctest.Wait()
			if got := s.countHeartbeats(t); got != n && got != n+1 {
				t.Fatalf("%d renewals after %d intervals", got, n+1)
			}
			wantHeldBy(t, s, "long")
		}
		if held.Context(t.Context()).Err() != nil {
			t.Error(context.Cause(held.Context(t.Context())))
		}
		if err := held.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if next := acquireNow(t, s, "next"); next.Generation() != 2 {
			t.Errorf("generation %d", next.Generation())
		}
	})
}

func TestLeaseIsLostAtTheRenewalAfterATakeover(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		held := acquireNow(t, s, "slow")
		s.putLockOfThief(t)
		started := time.Now()
		<-held.Context(t.Context()).Done()
		if took := time.Since(started); took > 21*time.Second {
			t.Errorf("lost after %s", took)
		}
		if cause := context.Cause(held.Context(t.Context())); !errors.Is(cause, lease.ErrLost) {
			t.Error(cause)
		}
		if err := held.Release(t.Context()); err != nil {
			t.Error(err)
		}
		wantHeldBy(t, s, "thief")
	})
}

func TestLeaseIsLostBeforeItExpiresWhenItCannotBeRenewed(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		started := time.Now()
		held := acquireNow(t, s, "cut off")
		s.AddFault(localaws.Fault{Operation: "s3:PutObject", Error: &localaws.Error{Status: 403, Code: "AccessDenied", Message: "no"}})
		<-held.Context(t.Context()).Done()
		if took := time.Since(started); took < 110*time.Second || took > 112*time.Second {
			t.Errorf("lost after %v, want 10 s before the expiry of 120 s", took)
		}
		if cause := context.Cause(held.Context(t.Context())); !errors.Is(cause, lease.ErrLost) || !strings.Contains(cause.Error(), "AccessDenied") {
			t.Error(cause)
		}
		renewals := s.callTimes("s3:PutObject")[1:]
		for i := range renewals[1:] {
			if gap := renewals[i+1].Sub(renewals[i]); gap.Round(10*time.Millisecond) != time.Second {
				t.Fatalf("a failed renewal was retried after %s", gap)
			}
		}
	})
}

func TestLeaseSurvivesAConnectionThatNeverAnswers(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		hangs := localaws.Fault{Operation: "s3:PutObject", Resource: prefix, Times: 1, Delay: time.Hour}
		s.AddFault(hangs)
		started := time.Now()
		held := acquireNow(t, s, "silent")
		if took := time.Since(started); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("acquired after %s, want a time limit of 10 s for the write that hangs", took)
		}
		s.AddFault(hangs)
		time.Sleep(5 * time.Minute)
		if err := held.Context(t.Context()).Err(); err != nil {
			t.Error(err)
		}
		if n := s.countHeartbeats(t); n < 10 {
			t.Errorf("%d renewals in five minutes", n)
		}
	})
}

func TestLeaseSurvivesALostReply(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		lost := localaws.Fault{Operation: "s3:PutObject", Resource: prefix, Times: 1, DropReply: true}
		s.AddFault(lost)
		held := acquireNow(t, s, "lossy")
		if held.Generation() != 1 {
			t.Errorf("generation %d", held.Generation())
		}
		s.AddFault(lost)
		time.Sleep(5 * time.Minute)
		if n := s.countHeartbeats(t); held.Context(t.Context()).Err() != nil || n < 10 {
			t.Errorf("%d renewals in five minutes, %v", n, context.Cause(held.Context(t.Context())))
		}
		held.StopRenewing()
		s.AddFault(lost)
		if err := held.Release(t.Context()); err != nil {
			t.Error(err)
		}
		acquireNow(t, s, "next")
	})
}

func TestRaiseGenerationExceedsWhatHostsHaveSeen(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		held := acquireNow(t, s, "moved")
		if err := held.RaiseGeneration(t.Context(), 0); err != nil || held.Generation() != 1 {
			t.Errorf("generation %d, %v", held.Generation(), err)
		}
		s.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: prefix, Times: 1, DropReply: true})
		if err := held.RaiseGeneration(t.Context(), 57); err != nil || held.Generation() != 58 {
			t.Errorf("generation %d, %v", held.Generation(), err)
		}
		if err := held.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		next := acquireNow(t, s, "next")
		if next.Generation() != 59 {
			t.Errorf("the next generation is %d", next.Generation())
		}
		s.putLockOfThief(t)
		if err := next.RaiseGeneration(t.Context(), 99); !errors.Is(err, lease.ErrLost) {
			t.Error(err)
		}
	})
}

func TestRaiseGenerationStaysWithinWhatHostsAccept(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		held := acquireNow(t, s, "last")
		if err := held.RaiseGeneration(t.Context(), deploy.MaxGeneration); err == nil || !strings.Contains(err.Error(), "which leaves no higher one") || held.Generation() != 1 {
			t.Errorf("generation %d, %v", held.Generation(), err)
		}
		if err := held.RaiseGeneration(t.Context(), deploy.MaxGeneration-1); err != nil || held.Generation() != deploy.MaxGeneration {
			t.Errorf("generation %d, %v", held.Generation(), err)
		}
	})
}
