package lease_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/localaws"
)

func TestLockIsHeldByOneOfFiftyRunsAtATime(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		var holders atomic.Int32
		var mu sync.Mutex
		var generations []int64
		var runs sync.WaitGroup
		for n := range 50 {
			runs.Go(func() {
				held, err := s.newStore().Acquire(t.Context(), newHolder(fmt.Sprint("run-", n)), time.Hour, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if holders.Add(1) != 1 {
					t.Error("two runs hold the lock")
				}
				mu.Lock()
				generations = append(generations, held.Generation())
				mu.Unlock()
				time.Sleep(time.Millisecond)
				holders.Add(-1)
				if err := held.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		runs.Wait()
		for i, generation := range generations {
			if generation != int64(i+1) {
				t.Fatalf("generations are %v", generations)
			}
		}
		if len(generations) != 50 {
			t.Errorf("%d runs had the lock", len(generations))
		}
	})
}

func TestExpiredLockIsTakenOverByExactlyOneRun(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		dead := acquireNow(t, s, "dead")
		dead.StopRenewing()
		time.Sleep(119 * time.Second)
		if held := wantHeldBy(t, s, "dead"); held.SinceHeartbeat < 118*time.Second {
			t.Errorf("last heartbeat %v ago", held.SinceHeartbeat)
		}
		time.Sleep(2 * time.Second)
		var winners atomic.Int32
		var runs sync.WaitGroup
		for n := range 10 {
			runs.Go(func() {
				held, err := s.newStore().Acquire(t.Context(), newHolder(fmt.Sprint("run-", n)), 0, nil)
				if err != nil {
					return
				}
				winners.Add(1)
				t.Cleanup(held.StopRenewing)
				if held.Generation() != 2 {
					t.Errorf("generation %d", held.Generation())
				}
			})
		}
		runs.Wait()
		if winners.Load() != 1 {
			t.Errorf("%d runs took the lock over", winners.Load())
		}
		if err := s.newStore().ReleaseByToken(t.Context(), dead.Token); err != nil {
			t.Error(err)
		}
		if _, err := s.newStore().Acquire(t.Context(), newHolder("late"), 0, nil); err == nil {
			t.Error("the killed run's token released the new holder's lock")
		}
	})
}

func TestLockIsNotTakenOverWhenTheClockOfTheRunnerIsWrong(t *testing.T) {
	for _, ahead := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
		testWithStorage(t, func(t *testing.T, s testStorage) {
			s.ahead.Store(int64(ahead))
			first := acquireNow(t, s, "first")
			wantHeldBy(t, s, "first")
			if err := first.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			acquireNow(t, s, "second")
		})
	}
}

func TestAcquireLeavesNoLockWhenCancelledDuringAWrite(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		s.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: prefix, Times: 1, DropReply: true})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for {
				if _, ok := s.Object(bucket, lockKey); ok {
					cancel()
					return
				}
				time.Sleep(time.Microsecond)
			}
		}()
		if _, err := s.newStore().Acquire(ctx, newHolder("cancelled"), 0, nil); !errors.Is(err, context.Canceled) {
			t.Fatalf("error is %v", err)
		}
		acquireNow(t, s, "next")
	})
}

func TestAcquireReportsTheHolderWhenTheWaitIsOver(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		acquireNow(t, s, "first")
		var reports []string
		started := time.Now()
		_, err := s.newStore().Acquire(t.Context(), newHolder("impatient"), time.Minute, func(held *lease.HeldError) { reports = append(reports, held.Error()) })
		var held *lease.HeldError
		if took := time.Since(started); !errors.As(err, &held) || held.Waited.Round(time.Second) != time.Minute || took.Round(time.Second) != time.Minute {
			t.Fatalf("%v after %s", err, took)
		}
		for _, part := range []string{"the lock is held by deployment first of 0.1.30-dev by ann, https://github.com/org/atta/actions/runs/1, since 2000-01-01T00:00:00Z (last heartbeat ", " ago); waited 1m0s"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("no %q in %v", part, err)
			}
		}
		if len(reports) != 1 {
			t.Errorf("reported %q, want one report", reports)
		}
	})
}

func TestAcquireSucceedsWhenTheLockIsReleased(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		first := acquireNow(t, s, "first")
		time.AfterFunc(time.Minute, func() { _ = first.Release(context.WithoutCancel(t.Context())) })
		second, err := s.newStore().Acquire(t.Context(), newHolder("patient"), time.Hour, nil)
		if err != nil || second.Generation() != 2 {
			t.Fatalf("%+v, %v", second, err)
		}
		if err := s.newStore().ReleaseByToken(t.Context(), second.Token); err != nil {
			t.Fatal(err)
		}
		acquireNow(t, s, "third")
		second.StopRenewing()
	})
}

func TestAcquireStopsWaitingWhenTheContextEnds(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		acquireNow(t, s, "first")
		ctx, cancel := context.WithCancelCause(t.Context())
		interrupted := errors.New("interrupted")
		time.AfterFunc(time.Minute, func() { cancel(interrupted) })
		if _, err := s.newStore().Acquire(ctx, newHolder("second"), time.Hour, nil); !errors.Is(err, interrupted) {
			t.Error(err)
		}
	})
}

func TestAcquirePollsLessOftenTheLongerItWaits(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		acquireNow(t, s, "first")
		_, _ = s.newStore().Acquire(t.Context(), newHolder("second"), 5*time.Minute, nil)
		polls := s.callTimes("s3:GetObject")[1:] // without the one of the holder
		if first := polls[1].Sub(polls[0]); first < 100*time.Millisecond || first > 310*time.Millisecond {
			t.Errorf("the second poll came after %s", first)
		}
		longest := time.Duration(0)
		for i := range polls[1:] {
			longest = max(longest, polls[i+1].Sub(polls[i]))
		}
		if longest <= 5*time.Second || longest > 7510*time.Millisecond { // 5 s, the jitter and the reply
			t.Errorf("the longest pause of %d polls was %s", len(polls), longest)
		}
	})
}

func TestAcquireFailsAfterThreeFailuresInARow(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		s.AddFault(localaws.Fault{Operation: "s3:GetObject", Error: &localaws.Error{Status: 500, Code: "InternalError"}})
		s.client = s3.NewFromConfig(s.Config(), func(o *s3.Options) { o.UsePathStyle, o.Retryer = true, aws.NopRetryer{} })
		if _, err := s.newStore().Acquire(t.Context(), newHolder("first"), time.Hour, nil); err == nil {
			t.Error("acquired a lock that could not be read")
		}
		if n := len(s.callTimes("s3:GetObject")); n != 3+1 { // the last one is from the release
			t.Errorf("sent %d requests", n)
		}
	})
}

func TestAcquireStopsItsCleanUpAfterTwoSeconds(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		s.AddFault(localaws.Fault{Operation: "s3:GetObject", Delay: time.Hour})
		started := time.Now()
		_, err := s.newStore().Acquire(ctx, newHolder("first"), time.Hour, nil)
		if took := time.Since(started); !errors.Is(err, context.Canceled) || took.Round(100*time.Millisecond) != 3*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}
