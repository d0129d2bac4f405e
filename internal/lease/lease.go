package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/org/atta-deploy-action/deploy"
)

// ErrLost is the cause of a lease's context if another run may have acquired the lock.
var ErrLost = errors.New("the deploy lock was lost: another run may deploy now")

// lockEntry is lock.json. It is never deleted, so that the generation only ever rises.
type lockEntry struct {
	Version    int    `json:"v"`
	Generation int64  `json:"generation"`
	Token      string `json:"token,omitempty"` // of the holder; empty: free
	Expiry     int    `json:"expiry_seconds,omitempty"`
	Heartbeat  int    `json:"heartbeat,omitempty"` // counts renewals, so that each write changes the ETag
	Holder     Holder `json:"holder,omitzero"`
}

const lockName = "lock.json"

// maxRenewBackoff limits the wait before a failed renewal is retried.
const maxRenewBackoff = time.Second

// Lease is the deploy lock of this run, until it is released or lost.
type Lease struct {
	// Token lets another process, the post step, release the lock.
	Token string

	store   *Store
	held    context.Context // ends when the lock is released or lost
	endHold context.CancelCauseFunc
	done    chan struct{}

	writing chan struct{} // a semaphore: one write at a time

	// The last write that S3 confirmed, and when it started.
	mu        sync.Mutex
	entry     lockEntry
	etag      string
	renewedAt time.Time
}

func (s *Store) newLease(ctx context.Context, e lockEntry, etag string, renewedAt time.Time) *Lease {
	held, endHold := context.WithCancelCause(ctx)
	l := &Lease{
		Token: e.Token, store: s, held: held, endHold: endHold, done: make(chan struct{}), writing: make(chan struct{}, 1),
		entry: e, etag: etag, renewedAt: renewedAt,
	}
	go l.renewUntilReleased(held)
	return l
}

// Context returns a context that ends with ctx or when the lock is no longer held. Its cause is ErrLost if the lock was lost.
func (l *Lease) Context(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	if l.held.Err() != nil {
		cancel(context.Cause(l.held))
	}
	context.AfterFunc(l.held, func() { cancel(context.Cause(l.held)) })
	return ctx
}

// Generation returns the fencing generation, higher than that of every previous holder.
// Hosts refuse a command whose generation is lower than one they have seen.
func (l *Lease) Generation() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entry.Generation
}

// AcquiredAt returns when the lock was acquired, by this run's own clock.
func (l *Lease) AcquiredAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entry.Holder.Since
}

// RaiseGeneration raises the generation above seen, which a host may have recorded with a
// lock in another bucket. The error is ErrLost if this run no longer holds the lock.
func (l *Lease) RaiseGeneration(ctx context.Context, seen int64) error {
	if seen >= deploy.MaxGeneration {
		return fmt.Errorf("an instance has seen generation %d, which leaves no higher one: remove the service's generation file on the instance", seen)
	}
	for l.Generation() <= seen {
		err := l.updateEntry(ctx, func(e *lockEntry) { e.Generation = seen + 1 })
		if err != nil && !errors.Is(err, errChanged) {
			return err
		}
	}
	return nil
}

// renewUntilReleased renews the lease at every interval. If S3 confirms no renewal for most
// of the expiry, the lock counts as lost, before any other run can take it over.
func (l *Lease) renewUntilReleased(held context.Context) {
	defer close(l.done)
	timing := l.store.timing
	for sleepContext(held, timing.renewInterval) == nil {
		deadline := l.lossDeadline()
		for reason := error(nil); ; {
			ctx, cancel := context.WithDeadline(held, deadline)
			err := l.updateEntry(ctx, func(e *lockEntry) { e.Heartbeat++ })
			if reason == nil || ctx.Err() == nil { // the deadline must not hide the cause
				reason = err
			}
			cancel()
			if err == nil {
				break
			}
			if held.Err() != nil {
				return
			}
			if errors.Is(err, ErrLost) || !time.Now().Before(deadline) {
				l.endHold(fmt.Errorf("%w: %w", ErrLost, reason))
				return
			}
			_ = sleepContext(held, min(maxRenewBackoff, timing.renewInterval/4))
		}
	}
}

// lossDeadline returns when the lock counts as lost unless S3 confirms another write.
func (l *Lease) lossDeadline() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewedAt.Add(l.store.timing.expiry - l.store.timing.renewInterval/2)
}

// updateEntry writes the changed entry, which also renews the lease. The error is ErrLost if another run holds the lock, and
// errChanged if an earlier write of this run, whose response was lost, succeeded.
func (l *Lease) updateEntry(ctx context.Context, set func(*lockEntry)) error {
	select {
	case l.writing <- struct{}{}:
		defer func() { <-l.writing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	startedAt, next, etag := time.Now(), l.entry, l.etag // without the mutex: only writers change them
	set(&next)
	newETag, err := l.store.writeObject(ctx, lockName, next, etag)
	if err == nil {
		l.recordConfirmed(next, newETag, startedAt)
		return nil
	}
	if !errors.Is(err, errChanged) {
		return err
	}
	var now lockEntry
	found, readErr := l.store.readObject(ctx, lockName, &now)
	if readErr != nil {
		return readErr
	}
	if now.Token != l.Token {
		return ErrLost
	}
	l.recordConfirmed(now, found.etag, l.renewedAt)
	return err
}

func (l *Lease) recordConfirmed(e lockEntry, etag string, renewedAt time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entry, l.etag, l.renewedAt = e, etag, renewedAt
}

// Release frees the lock. Releasing a lock that was lost is not an error.
func (l *Lease) Release(ctx context.Context) error {
	l.endHold(context.Canceled)
	<-l.done
	return l.store.ReleaseByToken(ctx, l.Token)
}
