package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"
)

// Holder is the run that holds a lock, in words that help whoever waits for it.
type Holder struct {
	Deployment string    `json:"deployment"`
	Version    string    `json:"version"`
	Repository string    `json:"repository,omitempty"`
	RunURL     string    `json:"run_url,omitempty"`
	Actor      string    `json:"actor,omitempty"`
	Since      time.Time `json:"since"` // by the run's own clock
}

// String names the run in a message.
func (h Holder) String() string {
	text := "deployment " + h.Deployment
	if h.Version != "" {
		text += " of " + h.Version
	}
	if h.Actor != "" {
		text += " by " + h.Actor
	}
	if h.RunURL != "" {
		text += ", " + h.RunURL
	}
	return text
}

// HeldError says that the lock was not free in time.
type HeldError struct {
	Holder Holder
	Held   time.Duration // since the holder's last sign of life, by S3's clock
	Waited time.Duration
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("the lock is held by %s, since %s (last sign of life %s ago); waited %s",
		e.Holder, e.Holder.Since.UTC().Format(time.RFC3339), e.Held.Round(time.Second), e.Waited.Round(time.Second))
}

// ErrLost is the cause of a lock's context when another run may have taken the lock.
var ErrLost = errors.New("the deploy lock was lost: another run may deploy now")

// entry is lock.json. It is never deleted, so that the generation only rises.
type entry struct {
	Version    int    `json:"v"`
	Generation int64  `json:"generation"`
	Token      string `json:"token,omitempty"` // of the holder; empty: free
	Expiry     int    `json:"expiry_seconds,omitempty"`
	Beat       int    `json:"beat,omitempty"` // so that each write is another object
	Holder     Holder `json:"holder,omitzero"`
}

const (
	lockName    = "lock.json"
	firstPause  = 200 * time.Millisecond
	freeTimeout = 2 * time.Second
	maxFailures = 3 // in a row, each after the SDK's own retries
	// maxGeneration is more than anybody will see, and less than what instances take.
	maxGeneration = 1_000_000_000
)

// Lock is held by this run until it is released, or lost.
type Lock struct {
	// Token frees the lock from another process, as the post step is.
	Token string

	ledger *Ledger
	life   context.Context // ends when the lock is released or lost
	stop   context.CancelCauseFunc
	done   chan struct{}

	writing sync.Mutex // held while a write is under way

	// The last write that S3 has confirmed, and when it was begun.
	mu    sync.Mutex
	entry entry
	etag  string
	alive time.Time
}

// Acquire takes the lock, and waits for that as long as it is told: not at all with 0.
// waiting is called when somebody is found to hold it, once for each holder. The
// error is a HeldError when the time is over. A lock whose holder has given no sign
// of life for its expiry, by S3's clock, is taken over. Of several who wait, any may be
// next.
func (l *Ledger) Acquire(ctx context.Context, holder Holder, wait time.Duration, waiting func(*HeldError)) (*Lock, error) {
	token := rand.Text()
	lock, err := l.acquire(ctx, token, holder, wait, waiting)
	var held *HeldError
	if err != nil && !errors.As(err, &held) {
		// A write whose reply never came may have taken it all the same.
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), freeTimeout)
		defer stop()
		_ = l.Free(ctx, token)
	}
	return lock, err
}

func (l *Ledger) acquire(ctx context.Context, token string, holder Holder, wait time.Duration, waiting func(*HeldError)) (*Lock, error) {
	begun, told, failures := time.Now(), "", 0
	var tried time.Time
	for pause := min(firstPause, l.pace.again); ; pause = min(pause*3/2, l.pace.again) {
		var now entry
		found, err := l.read(ctx, lockName, &now)
		left := wait - time.Since(begun)
		silent := found.read.Sub(found.modified)
		switch {
		case err != nil:
		case found.etag != "" && now.Token == token: // a write whose reply was lost
			return l.hold(ctx, now, found.etag, tried), nil
		case now.Token == "" || silent > time.Duration(now.Expiry)*time.Second:
			tried = time.Now()
			holder.Since = tried.UTC()
			next := entry{Version: 1, Generation: now.Generation + 1, Token: token, Expiry: int(l.pace.expiry / time.Second), Holder: holder}
			var etag string
			if etag, err = l.write(ctx, lockName, next, found.etag); err == nil {
				return l.hold(ctx, next, etag, tried), nil
			}
		case left <= 0:
			return nil, &HeldError{Holder: now.Holder, Held: silent, Waited: time.Since(begun)}
		default:
			if waiting != nil && told != now.Token {
				waiting(&HeldError{Holder: now.Holder, Held: silent, Waited: time.Since(begun)})
			}
			told, failures = now.Token, 0
			if err := sleep(ctx, min(pause/2+mathrand.N(pause), left)); err != nil {
				return nil, err
			}
			continue
		}
		// Somebody else was quicker, or it was ourselves; or S3 did not answer, which says
		// nothing of whether it has done as it was told.
		if failures++; !errors.Is(err, errChanged) && (ctx.Err() != nil || lasting(err) || failures >= maxFailures) {
			return nil, err
		}
		if err := sleep(ctx, mathrand.N(pause)); err != nil {
			return nil, err
		}
	}
}

func (l *Ledger) hold(ctx context.Context, e entry, etag string, alive time.Time) *Lock {
	life, stop := context.WithCancelCause(ctx)
	k := &Lock{Token: e.Token, ledger: l, life: life, stop: stop, done: make(chan struct{}), entry: e, etag: etag, alive: alive}
	go k.keep(life)
	return k
}

// Context ends with ctx, or when the lock is not held any more: with ErrLost as its cause
// when it was lost.
func (k *Lock) Context(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	if k.life.Err() != nil {
		cancel(context.Cause(k.life))
	}
	context.AfterFunc(k.life, func() { cancel(context.Cause(k.life)) })
	return ctx
}

// Generation is this lock's number: higher than that of every lock before. Hosts refuse
// a command whose generation is lower than one they have seen.
func (k *Lock) Generation() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.entry.Generation
}

// Since is when the lock was acquired, by this run's own clock.
func (k *Lock) Since() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.entry.Holder.Since
}

// Raise makes the generation higher than seen, which hosts may have from a ledger in
// another bucket. Only the lock's holder can do so; the error is ErrLost when this run
// is no more that.
func (k *Lock) Raise(ctx context.Context, seen int64) error {
	if seen >= maxGeneration {
		return fmt.Errorf("an instance has seen generation %d, which no lock has had: remove the file generation of the service there", seen)
	}
	for k.Generation() <= seen {
		err := k.change(ctx, func(e *entry) { e.Generation = seen + 1 })
		if err != nil && !errors.Is(err, errChanged) {
			return err
		}
	}
	return nil
}

// keep gives a sign of life now and then. When S3 has confirmed none for most of the
// expiry the lock counts as lost, before anybody may take it.
func (k *Lock) keep(life context.Context) {
	defer close(k.done)
	pace := k.ledger.pace
	for sleep(life, pace.beat) == nil {
		limit := k.limit()
		for reason := error(nil); ; {
			ctx, cancel := context.WithDeadline(life, limit)
			err := k.change(ctx, func(e *entry) { e.Beat++ })
			if reason == nil || ctx.Err() == nil { // and not only that the time is over
				reason = err
			}
			cancel()
			if err == nil {
				break
			}
			if life.Err() != nil {
				return
			}
			if errors.Is(err, ErrLost) || !time.Now().Before(limit) {
				k.stop(fmt.Errorf("%w: %w", ErrLost, reason))
				return
			}
			_ = sleep(life, min(time.Second, pace.beat/4))
		}
	}
}

// limit is when the lock counts as lost unless S3 confirms another write.
func (k *Lock) limit() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.alive.Add(k.ledger.pace.expiry - k.ledger.pace.beat/2)
}

// change writes the entry anew, which is a sign of life, too. The error is ErrLost when
// another run has the lock, and errChanged when an earlier write of our own has arrived
// after all.
func (k *Lock) change(ctx context.Context, set func(*entry)) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	begun, next, was := time.Now(), k.entry, k.etag // only writers change them
	set(&next)
	etag, err := k.ledger.write(ctx, lockName, next, was)
	if err == nil {
		k.confirm(next, etag, begun)
		return nil
	}
	if !errors.Is(err, errChanged) {
		return err
	}
	var now entry
	found, problem := k.ledger.read(ctx, lockName, &now)
	if problem != nil {
		return problem
	}
	if now.Token != k.Token {
		return ErrLost
	}
	k.confirm(now, found.etag, k.alive)
	return err
}

func (k *Lock) confirm(e entry, etag string, alive time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.entry, k.etag, k.alive = e, etag, alive
}

// Release frees the lock. It is no error to release a lock that was lost.
func (k *Lock) Release(ctx context.Context) error {
	k.stop(context.Canceled)
	<-k.done
	return k.ledger.Free(ctx, k.Token)
}

// Free frees the lock that was acquired with this token, if it is still held.
func (l *Ledger) Free(ctx context.Context, token string) error {
	for {
		var now entry
		found, err := l.read(ctx, lockName, &now)
		if err != nil {
			return err
		}
		if found.etag == "" || now.Token != token {
			return nil
		}
		_, err = l.write(ctx, lockName, entry{Version: now.Version, Generation: now.Generation}, found.etag)
		if !errors.Is(err, errChanged) {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
