package lease_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/localaws"
)

const (
	account = "123456789012"
	prefix  = "deployments/dev/atta/"
)

// storage is S3 with a clock of its own.
type storage struct {
	*localaws.Server
	ahead *atomic.Int64 // of this machine's clock, in nanoseconds
}

func newStorage(t *testing.T) storage {
	t.Helper()
	t.Parallel()
	s := storage{ahead: &atomic.Int64{}}
	server, err := localaws.Start(localaws.Options{Now: func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	server.CreateBucket("artifacts")
	s.Server = server
	return s
}

// ledger is what another process sees of it.
func (s storage) ledger() *lease.Store {
	client := s3.NewFromConfig(s.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	return lease.New(client, lease.Location{Bucket: "artifacts", Owner: account, Prefix: prefix}).WithTiming(2*time.Minute, time.Minute, 5*time.Millisecond)
}

func holder(deployment string) lease.Holder {
	return lease.Holder{Deployment: deployment, Version: "0.1.30-dev", Repository: "org/atta", RunURL: "https://github.com/org/atta/actions/runs/1", Actor: "ann"}
}

func acquired(t *testing.T, l *lease.Store, deployment string) *lease.Lease {
	t.Helper()
	lock, err := l.Acquire(t.Context(), holder(deployment), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lock.StopRenewing)
	return lock
}

// refused fails the test unless the lock is held by that deployment.
func refused(t *testing.T, l *lease.Store, by string) *lease.HeldError {
	t.Helper()
	lock, err := l.Acquire(t.Context(), holder("other"), 0, nil)
	var held *lease.HeldError
	if !errors.As(err, &held) || held.Holder.Deployment != by {
		t.Fatalf("got %+v, %v; want it held by %s", lock, err, by)
	}
	return held
}

func TestOneOfFiftyHoldsTheLockAndGenerationsRise(t *testing.T) {
	s := newStorage(t)
	var inside atomic.Int32
	var mu sync.Mutex
	var generations []int64
	var runs sync.WaitGroup
	for n := range 50 {
		runs.Go(func() {
			lock, err := s.ledger().Acquire(t.Context(), holder(fmt.Sprint("run-", n)), time.Minute, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if inside.Add(1) != 1 {
				t.Error("two hold the lock")
			}
			mu.Lock()
			generations = append(generations, lock.Generation())
			mu.Unlock()
			time.Sleep(time.Millisecond)
			inside.Add(-1)
			if err := lock.Release(t.Context()); err != nil {
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
		t.Errorf("%d had it", len(generations))
	}
}

func TestALockWhoseHolderDiedIsTakenOverOnceAfterItsExpiry(t *testing.T) {
	s := newStorage(t)
	dead := acquired(t, s.ledger(), "dead")
	dead.StopRenewing()
	s.ahead.Store(int64(119 * time.Second))
	if held := refused(t, s.ledger(), "dead"); held.SinceHeartbeat < 110*time.Second {
		t.Errorf("last heartbeat %v ago", held.SinceHeartbeat)
	}
	s.ahead.Store(int64(122 * time.Second))
	var winners atomic.Int32
	var runs sync.WaitGroup
	for n := range 10 {
		runs.Go(func() {
			lock, err := s.ledger().Acquire(t.Context(), holder(fmt.Sprint("run-", n)), 0, nil)
			if err == nil {
				winners.Add(1)
				t.Cleanup(lock.StopRenewing)
				if lock.Generation() != 2 {
					t.Errorf("generation %d", lock.Generation())
				}
			}
		})
	}
	runs.Wait()
	if winners.Load() != 1 {
		t.Errorf("%d have taken it over", winners.Load())
	}
	// What is left of the dead run frees nothing that is not its own.
	if err := s.ledger().ReleaseByToken(t.Context(), dead.Token); err != nil {
		t.Error(err)
	}
	if _, err := s.ledger().Acquire(t.Context(), holder("late"), 0, nil); err == nil {
		t.Error("the new holder's lock was freed")
	}
}

func TestARunThatLosesItsLockIsTold(t *testing.T) {
	s := newStorage(t)
	slow := s.ledger().WithTiming(2*time.Minute, 50*time.Millisecond, time.Millisecond)
	lock, err := slow.Acquire(t.Context(), holder("slow"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.take(t)
	select {
	case <-lock.Context(t.Context()).Done():
	case <-time.After(10 * time.Second):
		t.Fatal("it does not know")
	}
	if cause := context.Cause(lock.Context(t.Context())); !errors.Is(cause, lease.ErrLost) {
		t.Error(cause)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Error(err)
	}
	refused(t, s.ledger(), "thief")
}

// take overwrites the lock, as a run does that took it over.
func (s storage) take(t *testing.T) {
	t.Helper()
	client := s3.NewFromConfig(s.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	key, bucket := prefix+"lock.json", "artifacts"
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: strings.NewReader(`{"v":1,"generation":9,"token":"another","expiry_seconds":120,"holder":{"deployment":"thief"}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestALockThatCannotBeKeptAliveIsLostBeforeItExpires(t *testing.T) {
	s := newStorage(t)
	begun := time.Now()
	lock, err := s.ledger().WithTiming(5*time.Second, 2*time.Second, time.Millisecond).Acquire(t.Context(), holder("cut off"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.AddFault(localaws.Fault{Operation: "s3:PutObject", Error: &localaws.Error{Status: 403, Code: "AccessDenied", Message: "no"}})
	<-lock.Context(t.Context()).Done()
	if took := time.Since(begun); took < 2*time.Second || took > 5*time.Second {
		t.Errorf("lost after %v", took)
	}
	if cause := context.Cause(lock.Context(t.Context())); !errors.Is(cause, lease.ErrLost) || !strings.Contains(cause.Error(), "AccessDenied") {
		t.Error(cause)
	}
}

func TestALockLivesAsLongAsItsHolder(t *testing.T) {
	s := newStorage(t)
	lock, err := s.ledger().WithTiming(3*time.Second, 100*time.Millisecond, time.Millisecond).Acquire(t.Context(), holder("long"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		refused(t, s.ledger(), "long")
	}
	if lock.Context(t.Context()).Err() != nil {
		t.Error(context.Cause(lock.Context(t.Context())))
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if next := acquired(t, s.ledger(), "next"); next.Generation() != 2 {
		t.Errorf("generation %d", next.Generation())
	}
}

// A runner's clock decides nothing.
func TestAClockThatIsWrongTakesNothingOver(t *testing.T) {
	for _, ahead := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			s := newStorage(t)
			s.ahead.Store(int64(ahead))
			lock := acquired(t, s.ledger(), "first")
			refused(t, s.ledger(), "first")
			if err := lock.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			acquired(t, s.ledger(), "second")
		})
	}
}

// A connection that died in silence answers nothing, and the next one does.
func TestAConnectionThatDiedLosesNoLock(t *testing.T) {
	s := newStorage(t)
	silent := localaws.Fault{Operation: "s3:PutObject", Resource: prefix, Times: 1, Delay: time.Hour}
	s.AddFault(silent)
	lock, err := s.ledger().WithTiming(5*time.Second, 100*time.Millisecond, time.Millisecond).WithRequestTimeout(time.Second).Acquire(t.Context(), holder("silent"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.AddFault(silent)
	for deadline := time.Now().Add(20 * time.Second); s.beats(t) < 3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no signs of life")
		}
	}
	if err := lock.Context(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	lock.StopRenewing()
}

// A run that is cancelled before it knows that it has the lock leaves it to nobody.
func TestALockThatWasTakenUnknowinglyIsFreed(t *testing.T) {
	s := newStorage(t)
	s.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: prefix, Times: 1, DropReply: true})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if _, ok := s.Object("artifacts", prefix+"lock.json"); ok {
				cancel()
				return
			}
		}
	}()
	lock, err := s.ledger().Acquire(ctx, holder("cancelled"), 0, nil)
	if err == nil { // it was quicker
		if err := lock.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	acquired(t, s.ledger(), "next")
}

func TestAReplyThatIsLostLosesNoLock(t *testing.T) {
	s := newStorage(t)
	lost := localaws.Fault{Operation: "s3:PutObject", Resource: prefix, Times: 1, DropReply: true}
	s.AddFault(lost)
	lock, err := s.ledger().WithTiming(2*time.Minute, 20*time.Millisecond, time.Millisecond).Acquire(t.Context(), holder("lossy"), 0, nil)
	if err != nil || lock.Generation() != 1 {
		t.Fatalf("%+v, %v", lock, err)
	}
	s.AddFault(lost)
	for deadline := time.Now().Add(20 * time.Second); s.beats(t) < 5; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no signs of life")
		}
	}
	if lock.Context(t.Context()).Err() != nil {
		t.Error(context.Cause(lock.Context(t.Context())))
	}
	lock.StopRenewing()
	s.AddFault(lost)
	if err := lock.Release(t.Context()); err != nil {
		t.Error(err)
	}
	acquired(t, s.ledger(), "next")
}

// beats counts the holder's signs of life.
func (s storage) beats(t *testing.T) int {
	t.Helper()
	var entry struct{ Heartbeat int }
	content, _ := s.Object("artifacts", prefix+"lock.json")
	if err := json.Unmarshal(content, &entry); err != nil {
		t.Fatal(err)
	}
	return entry.Heartbeat
}

func TestWhoeverWaitsIsToldForWhomAndHowLong(t *testing.T) {
	s := newStorage(t)
	first := acquired(t, s.ledger(), "first")
	var mu sync.Mutex
	var told []string
	waiting := func(held *lease.HeldError) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, held.Error())
	}
	_, err := s.ledger().Acquire(t.Context(), holder("impatient"), time.Second, waiting)
	var held *lease.HeldError
	if !errors.As(err, &held) || held.Waited < time.Second {
		t.Fatal(err)
	}
	for _, part := range []string{"the lock is held by deployment first of 0.1.30-dev by ann, https://github.com/org/atta/actions/runs/1, since 20", "waited 1s"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in %v", part, err)
		}
	}
	if len(told) != 1 {
		t.Errorf("told %q", told)
	}
	time.AfterFunc(100*time.Millisecond, func() { _ = first.Release(context.WithoutCancel(t.Context())) })
	second, err := s.ledger().Acquire(t.Context(), holder("patient"), time.Minute, waiting)
	if err != nil || second.Generation() != 2 {
		t.Fatalf("%+v, %v", second, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	time.AfterFunc(20*time.Millisecond, func() { cancel(interrupted) })
	if _, err := s.ledger().Acquire(ctx, holder("third"), time.Minute, nil); !errors.Is(err, interrupted) {
		t.Error(err)
	}
	if err := s.ledger().ReleaseByToken(t.Context(), second.Token); err != nil {
		t.Fatal(err)
	}
	acquired(t, s.ledger(), "fourth")
}

func TestAGenerationIsRaisedAboveWhatHostsHaveSeen(t *testing.T) {
	s := newStorage(t)
	lock := acquired(t, s.ledger(), "moved")
	for seen, want := range map[int64]int64{0: 1, 57: 58} {
		if seen == 57 {
			s.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: prefix, Times: 1, DropReply: true})
		}
		if err := lock.RaiseGeneration(t.Context(), seen); err != nil || lock.Generation() < want {
			t.Errorf("after %d: %d, %v", seen, lock.Generation(), err)
		}
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := acquired(t, s.ledger(), "next")
	if err := next.RaiseGeneration(t.Context(), 1<<62); err == nil || !strings.Contains(err.Error(), "higher than any lock has had") {
		t.Error(err)
	}
	if next.Generation() != 59 {
		t.Errorf("the next is %d", next.Generation())
	}
	s.take(t)
	if err := next.RaiseGeneration(t.Context(), 99); !errors.Is(err, lease.ErrLost) {
		t.Error(err)
	}
}

func TestWhatIsInTheLockSaysWhoHoldsIt(t *testing.T) {
	s := newStorage(t)
	acquired(t, s.ledger(), "first")
	content, ok := s.Object("artifacts", prefix+"lock.json")
	var entry map[string]any
	if !ok || json.Unmarshal(content, &entry) != nil {
		t.Fatalf("%s", content)
	}
	keys := slices.Sorted(func(yield func(string) bool) {
		for key := range entry {
			if !yield(key) {
				return
			}
		}
	})
	if fmt.Sprint(keys) != "[expiry_seconds generation holder token v]" {
		t.Errorf("%s", content)
	}
}

func TestABucketThatIsNotOursIsNeitherReadNorWritten(t *testing.T) {
	s := newStorage(t)
	s.CreateBucket("theirs", localaws.OwnedBy("999999999999"))
	client := s3.NewFromConfig(s.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	for bucket, part := range map[string]string{"theirs": "AccessDenied", "nowhere": "NoSuchBucket"} {
		_, err := lease.New(client, lease.Location{Bucket: bucket, Owner: account, Prefix: prefix}).Acquire(t.Context(), holder("x"), time.Minute, nil)
		if err == nil || !strings.Contains(err.Error(), "read s3://"+bucket+"/"+prefix+"lock.json: ") || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", bucket, err)
		}
	}
	if _, ok := s.Object("theirs", prefix+"lock.json"); ok {
		t.Error("a stranger's bucket was written to")
	}
}

func TestALockThatNobodyCanReadIsNotTakenOver(t *testing.T) {
	s := newStorage(t)
	client := s3.NewFromConfig(s.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	key, bucket := prefix+"lock.json", "artifacts"
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("mine")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ledger().Acquire(t.Context(), holder("x"), 0, nil); err == nil || !strings.Contains(err.Error(), "not an object that this action wrote") {
		t.Error(err)
	}
}
