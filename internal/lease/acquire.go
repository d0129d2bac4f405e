package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
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

const (
	firstPause  = 200 * time.Millisecond
	freeTimeout = 2 * time.Second
	maxFailures = 3 // in a row, each after the SDK's own retries
)

// Acquire takes the lock, and waits for that as long as it is told: not at all with 0.
// waiting is called when somebody is found to hold it, once for each holder. The
// error is a HeldError when the time is over. A lock whose holder has given no sign
// of life for its expiry, by S3's clock, is taken over. Of several who wait, any may be
// next.
func (l *Store) Acquire(ctx context.Context, holder Holder, wait time.Duration, waiting func(*HeldError)) (*Lease, error) {
	token := rand.Text()
	lock, err := l.acquire(ctx, token, holder, wait, waiting)
	var held *HeldError
	if err != nil && !errors.As(err, &held) {
		// A write whose reply never came may have taken it all the same.
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), freeTimeout)
		defer stop()
		_ = l.ReleaseByToken(ctx, token)
	}
	return lock, err
}

func (l *Store) acquire(ctx context.Context, token string, holder Holder, wait time.Duration, waiting func(*HeldError)) (*Lease, error) {
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

// CurrentHolder is who holds the lock at this moment; nil: nobody, or one whose time is over.
func (l *Store) CurrentHolder(ctx context.Context) (*HeldError, error) {
	var now entry
	found, err := l.read(ctx, lockName, &now)
	silent := found.read.Sub(found.modified)
	if err != nil || now.Token == "" || silent > time.Duration(now.Expiry)*time.Second {
		return nil, err
	}
	return &HeldError{Holder: now.Holder, Held: silent}, nil
}

// ReleaseByToken frees the lock that was acquired with this token, if it is still held.
func (l *Store) ReleaseByToken(ctx context.Context, token string) error {
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
