// Package simhost simulates an instance: it answers as bootstrap.sh and ec2_deploy.sh make an
// instance answer, and runs nothing. It is for tests of rollouts over many instances; what the
// scripts themselves do is tested elsewhere.
package simhost

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws"
)

// Behavior is how a change on a host goes. The zero value succeeds at once.
type Behavior struct {
	Duration      time.Duration
	Refusal       string        // the message with which it refuses; nothing is changed
	Reason        deploy.Reason // of the refusal
	Unhealthy     bool          // the release is found unhealthy, and the host rolls back
	RollbackFails bool          // with Unhealthy: the rollback fails as well
}

// Host is one instance. Its methods are safe for concurrent use, set its fields before
// the first command.
type Host struct {
	NextBehavior func(version string) Behavior // how the next change goes; nil: it succeeds
	StatusDelay  time.Duration                 // before it answers a status command
	BusyTimeout  time.Duration                 // how long a command waits for another one; 0: a minute

	mu           sync.Mutex
	busy         string        // the deployment in progress; empty: none
	turnReleased chan struct{} // closed when that deployment has ended
	installed    release
	previous     string
	verified     []release // verified releases, the oldest first
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

// New is a host that runs a verified version, or nothing when version is empty.
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

// Changes are the changes of the host so far, in order.
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

// State returns the current state.
func (h *Host) State() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return State{
		Version: h.installed.version, Digest: h.installed.digest, Verified: h.installed.verified, Previous: h.previous,
		Generation: h.generation, Changes: len(h.changes), Command: h.command, Busy: h.busy != "",
	}
}

// SetInstalled changes what the host runs, as another deployer would.
func (h *Host) SetInstalled(version, digest string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.previous = h.installed.version
	h.installed = release{version: version, digest: digest, verified: true, since: time.Now()}
	h.verified = append(h.verified, h.installed)
}

// SetGeneration sets the highest fencing generation that the host has accepted.
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

// ForgetReleases removes the releases that the host could roll back to.
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
