package rollout

import (
	"context"
	"sync"
	"time"
)

// waitInterval is after how long a silence a run says what it waits for.
const waitInterval = 30 * time.Second

// narrator is the console of a run that, when nothing was logged for a while, says what the run waits for, and until when.
type narrator struct {
	Console

	mu       sync.Mutex
	loggedAt time.Time
	progress string
	waits    []*wait // the innermost last
}

// wait is something that a run waits for.
type wait struct {
	what  func() string // called at any time
	until time.Time     // when it is given up
}

func newNarrator(console Console) *narrator {
	return &narrator{Console: console, loggedAt: time.Now()}
}

// beginWait makes what the run waits for, at the latest until the end of the waits around it. The function that it returns
// ends the wait.
func (n *narrator) beginWait(until time.Time, what func() string) (end func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.waits) > 0 {
		until = earlierTime(until, n.waits[len(n.waits)-1].until)
	}
	n.waits = append(n.waits, &wait{what, until})
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.waits = n.waits[:len(n.waits)-1]
	}
}

// announceWaits logs waits until the function that it returns is called.
func (n *narrator) announceWaits() (stop func()) {
	return repeatInBackground(n.timeToNext, n.announceWait)
}

// timeToNext is how long the silence may still last.
func (n *narrator) timeToNext() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Until(n.loggedAt.Add(waitInterval))
}

// announceWait logs the innermost wait, unless something was logged since.
func (n *narrator) announceWait() {
	n.mu.Lock()
	var last *wait
	if time.Since(n.loggedAt) >= waitInterval {
		n.loggedAt = time.Now()
		if len(n.waits) > 0 {
			last = n.waits[len(n.waits)-1]
		}
	}
	n.mu.Unlock()
	if last != nil {
		n.Console.Info("waiting for %s, until %s at the latest", last.what(), formatTime(last.until))
	}
}

func (n *narrator) markLogged() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loggedAt = time.Now()
}

// Info implements Console.
func (n *narrator) Info(format string, args ...any) {
	n.markLogged()
	n.Console.Info(format, args...)
}

// Untrusted implements Console.
func (n *narrator) Untrusted(text string) {
	n.markLogged()
	n.Console.Untrusted(text)
}

// Progress implements Console. Progress that stands still is silence.
func (n *narrator) Progress(text string) {
	n.mu.Lock()
	if n.progress != text {
		n.progress, n.loggedAt = text, time.Now()
	}
	n.mu.Unlock()
	n.Console.Progress(text)
}

// formatTime names a time of the next hours.
func formatTime(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

func earlierTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// repeatInBackground calls f again and again, each time after an interval, until the function that it returns is called.
func repeatInBackground(interval func() time.Duration, f func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for sleepContext(ctx, interval()) {
			f()
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// sleepContext waits for d, and reports whether ctx has not ended by then.
func sleepContext(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
