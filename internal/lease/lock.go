package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

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

const lockName = "lock.json"

// maxGeneration is more than anybody will see, and less than what instances take.
const maxGeneration = 1_000_000_000

// Lease is held by this run until it is released, or lost.
type Lease struct {
	// Token frees the lock from another process, as the post step is.
	Token string

	ledger *Store
	life   context.Context // ends when the lock is released or lost
	stop   context.CancelCauseFunc
	done   chan struct{}

	writing chan struct{} // holds something while a write is under way

	// The last write that S3 has confirmed, and when it was begun.
	mu    sync.Mutex
	entry entry
	etag  string
	alive time.Time
}

func (l *Store) hold(ctx context.Context, e entry, etag string, alive time.Time) *Lease {
	life, stop := context.WithCancelCause(ctx)
	k := &Lease{Token: e.Token, ledger: l, life: life, stop: stop, done: make(chan struct{}), writing: make(chan struct{}, 1), entry: e, etag: etag, alive: alive}
	go k.keep(life)
	return k
}

// Context ends with ctx, or when the lock is not held any more: with ErrLost as its cause
// when it was lost.
func (k *Lease) Context(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	if k.life.Err() != nil {
		cancel(context.Cause(k.life))
	}
	context.AfterFunc(k.life, func() { cancel(context.Cause(k.life)) })
	return ctx
}

// Generation is this lock's number: higher than that of every lock before. Hosts refuse
// a command whose generation is lower than one they have seen.
func (k *Lease) Generation() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.entry.Generation
}

// AcquiredAt is when the lock was acquired, by this run's own clock.
func (k *Lease) AcquiredAt() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.entry.Holder.Since
}

// RaiseGeneration makes the generation higher than seen, which hosts may have from a ledger in
// another bucket. Only the lock's holder can do so; the error is ErrLost when this run
// is no more that.
func (k *Lease) RaiseGeneration(ctx context.Context, seen int64) error {
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
func (k *Lease) keep(life context.Context) {
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
func (k *Lease) limit() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.alive.Add(k.ledger.pace.expiry - k.ledger.pace.beat/2)
}

// change writes the entry anew, which is a sign of life, too. The error is ErrLost when
// another run has the lock, and errChanged when an earlier write of our own has arrived
// after all.
func (k *Lease) change(ctx context.Context, set func(*entry)) error {
	select {
	case k.writing <- struct{}{}:
		defer func() { <-k.writing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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

func (k *Lease) confirm(e entry, etag string, alive time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.entry, k.etag, k.alive = e, etag, alive
}

// Release frees the lock. It is no error to release a lock that was lost.
func (k *Lease) Release(ctx context.Context) error {
	k.stop(context.Canceled)
	<-k.done
	return k.ledger.ReleaseByToken(ctx, k.Token)
}
