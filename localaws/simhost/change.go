package simhost

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws"
)

// recoveryTime is how long a host takes to roll back after a command was killed.
const recoveryTime = 2 * time.Second

// changeRelease runs a deploy or a rollback, one at a time.
func (h *Host) changeRelease(ctx context.Context, c call) localaws.Exit {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.command = c.line
	if !h.takeTurn(ctx, c) {
		return h.answerCommand(c, refused(deploy.ExitBusy, deploy.ReasonBusy, "another deploy is at work"), false)
	}
	if ctx.Err() != nil {
		return killed
	}
	h.before = h.installed.version
	for i, e := range h.history {
		if e.deployment == c.parameters["deployment"] && i == len(h.history)-1 {
			return e.answer
		} else if e.deployment == c.parameters["deployment"] {
			return h.answerCommand(c, refused(deploy.ExitStale, deploy.ReasonStale, "carried out before"), false)
		}
	}
	if time.Now().Unix() > c.int64Parameter("not-after") {
		return h.answerCommand(c, refused(deploy.ExitStale, deploy.ReasonStale, "the command came too late"), false)
	}
	if generation := c.int64Parameter("generation"); generation > 0 && generation < h.generation {
		return h.answerCommand(c, refused(deploy.ExitStale, deploy.ReasonStale, fmt.Sprintf("the command is of generation %d, and this host has seen %d", generation, h.generation)), false)
	} else if generation > 0 {
		h.generation = generation
	}
	target, reason, problem := h.resolveTarget(c)
	if problem != "" {
		return h.answerCommand(c, refused(deploy.ExitPreflight, reason, problem), true)
	}
	if h.installed.version == target.version && h.installed.verified && len(h.drift) == 0 && h.currentEvidence() == deploy.EvidenceRunning {
		return h.answerCommand(c, verdict{outcome: deploy.OutcomeUnchanged, message: target.version + " runs already"}, true)
	}
	var behavior Behavior
	if h.NextBehavior != nil {
		behavior = h.NextBehavior(target.version)
	}
	if behavior.Refusal != "" {
		return h.answerCommand(c, refused(deploy.ExitPreflight, behavior.Reason, behavior.Refusal), true)
	}
	return h.switchTo(ctx, c, target, behavior)
}

// takeTurn waits until no other deployment is in progress, and reports whether that happened
// in time. A copy of the command in progress waits for it without a timeout.
func (h *Host) takeTurn(ctx context.Context, c call) bool {
	timeout := h.BusyTimeout
	if timeout == 0 {
		timeout = time.Minute
	}
	for limit := time.Now().Add(timeout); h.busy != ""; {
		free, same := h.turnReleased, h.busy == c.parameters["deployment"]
		h.mu.Unlock()
		var late <-chan time.Time
		if !same {
			late = time.After(time.Until(limit))
		}
		select {
		case <-free:
		case <-late:
			h.mu.Lock()
			return false
		case <-ctx.Done():
			h.mu.Lock()
			return true
		}
		h.mu.Lock()
	}
	return true
}

// resolveTarget returns the requested release, or the reason why it is refused.
func (h *Host) resolveTarget(c call) (release, deploy.Reason, string) {
	version := c.parameters["version"]
	if c.command == "deploy" {
		digest := c.imageDigest()
		switch {
		case isOlder(version, h.installed.version) && c.parameters["allow-downgrade"] != "true":
			return release{}, deploy.ReasonDowngrade, version + " is older than " + h.installed.version
		case h.quarantine[digest] && c.parameters["allow-quarantined"] != "true":
			return release{}, deploy.ReasonQuarantined, "this image is quarantined"
		}
		return release{version: version, digest: digest, bundle: c.parameters["sha256"]}, deploy.ReasonNone, ""
	}
	if version == "" {
		version = h.previous
	}
	known, held := h.findRelease(version)
	switch {
	case version == "":
		return release{}, deploy.ReasonNoPrevious, "there is no previous release to roll back to"
	case !held:
		return release{}, deploy.ReasonNotVerified, version + " was never seen healthy here"
	}
	return known, deploy.ReasonNone, ""
}

// waitForJobs takes the host's turn and waits until no job is at work any more. The answer is that of
// a command that ends there, because a later run has started since or it was killed.
func (h *Host) waitForJobs(ctx context.Context, c call, behavior Behavior) (answer localaws.Exit, fit bool) {
	h.busy, h.turnReleased = c.parameters["deployment"], make(chan struct{})
	if behavior.Drain == 0 {
		return answer, true
	}
	h.mu.Unlock()
	whole := waitFor(ctx, behavior.Drain)
	h.mu.Lock()
	switch generation := c.int64Parameter("generation"); {
	case !whole:
		h.answerCommand(c, refused(deploy.ExitStart, deploy.ReasonCutOff, "cut off; nothing was changed"), true)
		answer = killed
	case generation > 0 && generation < h.generation:
		answer = h.answerCommand(c, refused(deploy.ExitStale, deploy.ReasonStale, "a later run has started since"), true)
	default:
		return answer, true
	}
	h.releaseTurn()
	return answer, false
}

var killed = localaws.Exit{Code: 137}

// switchTo switches to the release, and releases the mutex for the duration of the change. If
// the command is killed in the meantime, the host rolls back on its own.
func (h *Host) switchTo(ctx context.Context, c call, target release, behavior Behavior) localaws.Exit {
	if v, fit := h.waitForJobs(ctx, c, behavior); !fit {
		return v
	}
	from, before := h.installed, h.container
	h.changes = append(h.changes, Change{Deployment: c.parameters["deployment"], Generation: c.int64Parameter("generation"), Version: target.version, Started: time.Now()})
	h.installed, h.container = release{version: target.version, digest: target.digest}, container{}
	h.mu.Unlock()
	whole := waitFor(ctx, behavior.Duration)
	h.mu.Lock()
	if !whole {
		go func() {
			time.Sleep(recoveryTime)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.installed, h.container = from, before
			h.answerCommand(c, verdict{deploy.OutcomeRolledBack, deploy.ExitStart, deploy.ReasonCutOff, "cut off"}, true)
			h.releaseTurn()
		}()
		return killed
	}
	defer h.releaseTurn()
	switch {
	case behavior.RollbackFails:
		h.installed, h.unitFailed = release{version: from.version, digest: from.digest}, true
		return h.answerCommand(c, verdict{deploy.OutcomeRollbackFailed, deploy.ExitRollbackFailed, cmp.Or(behavior.NotProved, deploy.ReasonUnhealthy), "unhealthy, and the rollback failed"}, true)
	case behavior.NotProved != "":
		h.installed, h.container = from, before
		return h.answerCommand(c, verdict{deploy.OutcomeRolledBack, deploy.ExitStart, behavior.NotProved, "not proved to run"}, true)
	case behavior.Unhealthy:
		h.installed, h.container = from, before
		if !slices.ContainsFunc(h.releases, func(r release) bool { return r.verified && r.digest == target.digest }) {
			h.quarantine[target.digest] = true
		}
		left := "nothing is installed"
		if from.version != "" {
			left = from.version + " is back"
		}
		return h.answerCommand(c, verdict{deploy.OutcomeRolledBack, deploy.ExitUnhealthy, deploy.ReasonUnhealthy, "unhealthy; " + left}, true)
	}
	switch {
	case behavior.NotRun:
		target.job = true
	case behavior.AtWork:
		target.job, h.container = true, container{digest: target.digest, evidence: deploy.EvidenceAtWork}
	default:
		target.verified, target.since, h.container = true, time.Now(), container{digest: target.digest, evidence: deploy.EvidenceRunning}
		if behavior.FailsAfter > 0 {
			h.container.ends = time.Now().Add(behavior.FailsAfter)
		}
	}
	h.installed, h.drift, h.unitFailed = target, nil, false
	delete(h.quarantine, target.digest)
	h.releases = append(slices.DeleteFunc(h.releases, func(r release) bool { return r.version == target.version }), target)
	h.recordPrevious(c, from)
	return h.answerCommand(c, verdict{outcome: deploy.OutcomeDeployed, message: target.version + " runs"}, true)
}

// recordPrevious sets the release that the next rollback returns to.
func (h *Host) recordPrevious(c call, from release) {
	if c.command == "deploy" && c.parameters["rollback"] != "true" {
		if h.previous == h.installed.version {
			h.previous = ""
		}
		previous, _ := h.findRelease(h.previous)
		if from.version != h.installed.version && (from.verified || from.version != "" && !previous.verified) {
			h.previous = from.version
		}
		return
	}
	h.previous = ""
	for _, r := range h.releases {
		if r.verified && isOlder(r.version, h.installed.version) && (h.previous == "" || isOlder(h.previous, r.version)) {
			h.previous = r.version
		}
	}
}

func (h *Host) releaseTurn() {
	h.busy = ""
	close(h.turnReleased)
}
