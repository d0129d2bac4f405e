// Package simhost simulates an instance: it returns the results that the bootstrap script and
// ec2_deploy.sh would return, and runs nothing. It is for tests of rollouts to many instances; the
// scripts are tested elsewhere.
package simhost

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws"
)

// Behavior is the course of a change on a host. The zero value succeeds at once.
type Behavior struct {
	FailsAfter    time.Duration // the program ends with an error so long after it was seen healthy; 0: it does not
	Drain         time.Duration // before anything is changed: a job is waited for
	Duration      time.Duration // of the change
	NotRun        bool          // the release is a job that is installed only: run-on-deploy: false
	AtWork        bool          // the release is a job that has not ended within the health time-out
	Refusal       string        // the message of a refusal; nothing is changed
	Reason        deploy.Reason // of the refusal
	NotProved     deploy.Reason // why the release is not proved to run, which says nothing about its health; the host rolls back
	Unhealthy     bool          // the release is found unhealthy, and the host rolls back
	RollbackFails bool          // with Unhealthy: the rollback fails as well
}

// Host is one instance. Its methods are safe for concurrent use; set its fields before the
// first command.
type Host struct {
	NextBehavior func(version string) Behavior // of the next change; nil: it succeeds
	StatusDelay  time.Duration                 // before the result of a status command
	Unfit        string                        // why a check is refused; empty: it is not
	BusyTimeout  time.Duration                 // how long a command waits for another one; 0: a minute

	mu           sync.Mutex
	busy         string        // the deployment in progress; empty: none
	turnReleased chan struct{} // closed when that deployment has ended
	installed    release
	before       string // installed when the latest command began
	previous     string
	releases     []release // what it can roll back to, the oldest first
	quarantine   map[string]bool
	generation   int64
	history      []pastCommand
	command      string
	changes      []Change
	drift        []string
	unitFailed   bool
	container    container // what really runs or ran; no command is taken at its word for it
}

// container is the one of the unit.
type container struct {
	digest   string // of its image; empty: there is none
	evidence deploy.Evidence
	ends     time.Time // with an error; zero: it does not
}

// hasFailed reports whether the program has ended.
func (c container) hasFailed() bool { return !c.ends.IsZero() && !time.Now().Before(c.ends) }

type release struct {
	version, digest string
	bundle          string // SHA-256
	verified        bool
	job             bool
	since           time.Time
}

type pastCommand struct {
	deployment string
	answer     localaws.Exit
	verdict    verdict
}

// New returns a host that runs a verified version, or nothing if version is empty.
func New(version, digest string) *Host {
	h := &Host{quarantine: map[string]bool{}}
	if version != "" {
		h.installed = release{version: version, digest: digest, verified: true, since: time.Now()}
		h.releases = []release{h.installed}
		h.container = container{digest: digest, evidence: deploy.EvidenceRunning}
	}
	return h
}

// Change is one command that changed what the host runs, or tried to.
type Change struct {
	Deployment string
	Generation int64
	Version    string
	Started    time.Time
}

// Changes returns the changes of the host so far, in order.
func (h *Host) Changes() []Change {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.changes)
}

// State is what a host runs, and what was changed.
type State struct {
	Version, Digest string
	Verified        bool
	Previous        string
	Generation      int64
	Changes         int    // number of Changes
	Command         string // parameters of the last deploy or rollback command
	Busy            bool
	Runs            string          // digest of the image that really runs or ran; empty: none
	Evidence        deploy.Evidence // of that image
	FailedSince     time.Time       // when the program ended with an error; zero: it did not
}

// State returns the current state.
func (h *Host) State() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	var failed time.Time
	if h.container.hasFailed() {
		failed = h.container.ends
	}
	return State{
		FailedSince: failed,
		Version:     h.installed.version, Digest: h.installed.digest, Verified: h.installed.verified, Previous: h.previous,
		Generation: h.generation, Changes: len(h.changes), Command: h.command, Busy: h.busy != "",
		Runs: h.container.digest, Evidence: h.currentEvidence(),
	}
}

// SetInstalled changes what the host runs, as another deployer would.
func (h *Host) SetInstalled(version, digest string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.previous = h.installed.version
	h.installed = release{version: version, digest: digest, verified: true, since: time.Now()}
	h.releases = append(h.releases, h.installed)
	h.container = container{digest: digest, evidence: deploy.EvidenceRunning}
}

// RemoveContainer removes the unit's container, as somebody does by hand, and leaves everything
// that a deploy has written.
func (h *Host) RemoveContainer() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.container = container{}
}

// SetGeneration sets the highest fencing generation that the host has accepted.
func (h *Host) SetGeneration(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.generation = n
}

// SetDrift sets what the host reports as drift.
func (h *Host) SetDrift(words ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drift = words
}

// SetUnitFailed makes the host report that its unit has failed since.
func (h *Host) SetUnitFailed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unitFailed = true
}

// ForgetReleases removes the releases that the host could roll back to.
func (h *Host) ForgetReleases() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.previous, h.releases = "", nil
}

// Run implements localaws.Machine.
func (h *Host) Run(ctx context.Context, script string, _ []string) localaws.Exit {
	call := parseScript(script)
	if call.command == "status" {
		waitFor(ctx, h.StatusDelay)
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.answerStatus(call)
	}
	if call.command == "check" {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.answerCheck(call)
	}
	if call.command == "doctor" {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.answerDoctor(call)
	}
	return h.changeRelease(ctx, call)
}

func (h *Host) findRelease(version string) (release, bool) {
	i := slices.IndexFunc(h.releases, func(r release) bool { return r.version == version })
	if i < 0 {
		return release{}, false
	}
	return h.releases[i], true
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
