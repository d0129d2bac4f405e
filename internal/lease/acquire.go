package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"
)

// Holder identifies the run that holds the lock, for the runs that wait for it.
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

// HeldError reports that another run holds the lock.
type HeldError struct {
	Holder         Holder
	SinceHeartbeat time.Duration // since the holder's last renewal, by S3's clock
	Waited         time.Duration
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("the lock is held by %s, since %s (last heartbeat %s ago); waited %s",
		e.Holder, e.Holder.Since.UTC().Format(time.RFC3339), e.SinceHeartbeat.Round(time.Second), e.Waited.Round(time.Second))
}

const (
	firstPollDelay = 200 * time.Millisecond
	releaseTimeout = 2 * time.Second
	maxFailures    = 3 // in a row, each after the SDK's own retries
)

// Acquire acquires the lock, and waits for it up to wait; 0 does not wait. onHeld, which may be nil, is called once for each
// other holder. If the lock is not free in time, the error is a HeldError. A lock that its holder has not renewed within its
// expiry, by S3's clock, is taken over. Waiting runs acquire the lock in any order.
func (s *Store) Acquire(ctx context.Context, holder Holder, wait time.Duration, onHeld func(*HeldError)) (*Lease, error) {
	token := rand.Text()
	lease, err := s.acquireWithToken(ctx, token, holder, wait, onHeld)
	var held *HeldError
	if err != nil && !errors.As(err, &held) {
		// A write whose response was lost may have acquired the lock.
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer stop()
		_ = s.ReleaseByToken(ctx, token)
	}
	return lease, err
}

func (s *Store) acquireWithToken(ctx context.Context, token string, holder Holder, wait time.Duration, onHeld func(*HeldError)) (*Lease, error) {
	startedAt, reported, failures := time.Now(), "", 0
	var triedAt time.Time
	for delay := min(firstPollDelay, s.timing.maxPollDelay); ; delay = min(delay*3/2, s.timing.maxPollDelay) {
		var now lockEntry
		found, err := s.readObject(ctx, lockName, &now)
		left := wait - time.Since(startedAt)
		switch {
		case err != nil:
		case found.etag != "" && now.Token == token: // an earlier write whose response was lost
			return s.newLease(ctx, now, found.etag, triedAt), nil
		case now.isFree(found):
			triedAt = time.Now()
			holder.Since = triedAt.UTC()
			next := lockEntry{Version: 1, Generation: now.Generation + 1, Token: token, Expiry: int(s.timing.expiry / time.Second), Holder: holder}
			var etag string
			if etag, err = s.writeObject(ctx, lockName, next, found.etag); err == nil {
				return s.newLease(ctx, next, etag, triedAt), nil
			}
		case left <= 0:
			return nil, &HeldError{Holder: now.Holder, SinceHeartbeat: found.age(), Waited: time.Since(startedAt)}
		default:
			if onHeld != nil && reported != now.Token {
				onHeld(&HeldError{Holder: now.Holder, SinceHeartbeat: found.age(), Waited: time.Since(startedAt)})
			}
			reported, failures = now.Token, 0
			if err := sleepContext(ctx, min(delay/2+mathrand.N(delay), left)); err != nil {
				return nil, err
			}
			continue
		}
		// errChanged: another run wrote first, or an earlier attempt of this run did. After any
		// other error, S3 may have stored the write; the next read shows whether it has.
		if failures++; !errors.Is(err, errChanged) && (ctx.Err() != nil || isPermanent(err) || failures >= maxFailures) {
			return nil, err
		}
		if err := sleepContext(ctx, mathrand.N(delay)); err != nil {
			return nil, err
		}
	}
}

// CurrentHolder returns the holder of the lock, or nil if it is free or has expired.
func (s *Store) CurrentHolder(ctx context.Context) (*HeldError, error) {
	var now lockEntry
	found, err := s.readObject(ctx, lockName, &now)
	if err != nil || now.isFree(found) {
		return nil, err
	}
	return &HeldError{Holder: now.Holder, SinceHeartbeat: found.age()}, nil
}

// ReleaseByToken frees the lock that was acquired with this token, if it is still held.
func (s *Store) ReleaseByToken(ctx context.Context, token string) error {
	for {
		var now lockEntry
		found, err := s.readObject(ctx, lockName, &now)
		if err != nil {
			return err
		}
		if found.etag == "" || now.Token != token {
			return nil
		}
		_, err = s.writeObject(ctx, lockName, lockEntry{Version: now.Version, Generation: now.Generation}, found.etag)
		if !errors.Is(err, errChanged) {
			return err
		}
	}
}

// isFree reports whether the lock can be acquired: it has no holder or has expired.
func (e lockEntry) isFree(found object) bool {
	return e.Token == "" || found.age() > time.Duration(e.Expiry)*time.Second
}

func sleepContext(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
