// Package simhost is an instance that answers as bootstrap.sh and ec2_deploy.sh make one
// answer, and runs nothing: for tests of what goes on between many of them. What the
// scripts really do is tested where they lie.
package simhost

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws"
)

// Behavior is how a change on a host goes. The zero value goes well, at once.
type Behavior struct {
	Duration      time.Duration
	Refusal       string        // the message with which it refuses; nothing is changed
	Reason        deploy.Reason // of the refusal
	Unhealthy     bool          // the release is found unhealthy, and the host goes back
	RollbackFails bool          // and going back goes wrong, too
}

// Host is one instance. Its methods are safe for concurrent use, its fields are set before
// the first command comes.
type Host struct {
	NextBehavior func(version string) Behavior // how the next change goes; nil: well
	StatusDelay  time.Duration                 // to answer a question
	BusyTimeout  time.Duration                 // how long a command waits for another one to end; 0: a minute

	mu           sync.Mutex
	busy         string        // the deployment at work; empty: none
	turnReleased chan struct{} // closed when it is no more
	installed    release
	previous     string
	verified     []release // healthy here, the oldest first
	quarantine   map[string]bool
	generation   int64
	history      []pastCommand
	command      string
	changes      []Change
	drift        []string
	unitFailed   bool
}

type release struct {
	version, digest string
	verified        bool
	since           time.Time
}

type pastCommand struct {
	deployment string
	answer     localaws.Exit
	verdict    verdict
}

// New is a host that runs a version, seen healthy; an empty one is a host that has nothing.
// The image of a version is the same wherever it runs.
func New(version, digest string) *Host {
	h := &Host{quarantine: map[string]bool{}}
	if version != "" {
		h.installed = release{version: version, digest: digest, verified: true, since: time.Now()}
		h.verified = []release{h.installed}
	}
	return h
}

// Change is one command that has made a host run something else, or has tried to.
type Change struct {
	Deployment string
	Generation int64
	Version    string
	Started    time.Time
}

// Changes are those of a host so far, in their order.
func (h *Host) Changes() []Change {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.changes)
}

// State is what a host runs, and what has been done to it.
type State struct {
	Version, Digest string
	Verified        bool
	Previous        string
	Generation      int64
	Changes         int    // times that it was made to run something else, or tried to
	Command         string // the parameters of the last command that was to change something
	Busy            bool
}

// State is that at this moment.
func (h *Host) State() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return State{
		Version: h.installed.version, Digest: h.installed.digest, Verified: h.installed.verified, Previous: h.previous,
		Generation: h.generation, Changes: len(h.changes), Command: h.command, Busy: h.busy != "",
	}
}

// SetInstalled changes what the host runs, as somebody else would.
func (h *Host) SetInstalled(version, digest string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.previous = h.installed.version
	h.installed = release{version: version, digest: digest, verified: true, since: time.Now()}
	h.verified = append(h.verified, h.installed)
}

// SetGeneration is what the host has seen, as from another bucket.
func (h *Host) SetGeneration(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.generation = n
}

// SetDrift makes the host differ in something from its release.
func (h *Host) SetDrift(words ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drift = words
}

// ForgetReleases removes what the host could go back to.
func (h *Host) ForgetReleases() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.previous, h.verified = "", nil
}

// Run makes it a localaws.Machine.
func (h *Host) Run(ctx context.Context, script string, _ []string) localaws.Exit {
	call := parseScript(script)
	if call.command == "status" {
		waitFor(ctx, h.StatusDelay)
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.answerStatus(call)
	}
	return h.changeRelease(ctx, call)
}

func (h *Host) findVerified(version string) (release, bool) {
	i := slices.IndexFunc(h.verified, func(r release) bool { return r.version == version })
	if i < 0 {
		return release{}, false
	}
	return h.verified[i], true
}

func waitFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
