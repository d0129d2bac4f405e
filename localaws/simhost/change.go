package simhost

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/org/atta-deploy-action/localaws"
)

// recovery is how long a host takes to go back after a command was killed.
const recovery = 2 * time.Second

// change does what a deploy or a rollback asks for, one at a time.
func (h *Host) change(ctx context.Context, c call) localaws.Exit {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.command = c.line
	if !h.takeTurn(ctx, c) {
		return h.answer(c, "refused", 51, "another deploy is at work", false)
	}
	if ctx.Err() != nil {
		return killed
	}
	for i, e := range h.history {
		if e.deployment == c.given["deployment"] && i == len(h.history)-1 {
			return e.answer
		} else if e.deployment == c.given["deployment"] {
			return h.answer(c, "refused", 50, "carried out before", false)
		}
	}
	if time.Now().Unix() > c.number("not-after") {
		return h.answer(c, "refused", 50, "the command came too late", false)
	}
	if generation := c.number("generation"); generation > 0 && generation < h.generation {
		return h.answer(c, "refused", 50, fmt.Sprintf("the command is of generation %d, and this host has seen %d", generation, h.generation), false)
	} else if generation > 0 {
		h.generation = generation
	}
	target, problem := h.target(c)
	if problem != "" {
		return h.answer(c, "refused", 10, problem, true)
	}
	if c.command == "deploy" && h.installed.version == target.version && h.installed.verified && len(h.drift) == 0 {
		return h.answer(c, "unchanged", 0, target.version+" runs already", true)
	}
	var course Behavior
	if h.NextBehavior != nil {
		course = h.NextBehavior(target.version)
	}
	if course.Refusal != "" {
		return h.answer(c, "refused", 10, course.Refusal, true)
	}
	return h.switchTo(ctx, c, target, course)
}

// takeTurn waits until nobody else is at work; it is false when that takes too long. A copy
// of the command that is at work waits for it without an end.
func (h *Host) takeTurn(ctx context.Context, c call) bool {
	patience := h.BusyTimeout
	if patience == 0 {
		patience = time.Minute
	}
	for limit := time.Now().Add(patience); h.busy != ""; {
		free, same := h.free, h.busy == c.given["deployment"]
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

// target is the release that is asked for, or why it cannot be had.
func (h *Host) target(c call) (release, string) {
	version := c.given["version"]
	if c.command == "deploy" {
		digest := c.digest()
		switch {
		case older(version, h.installed.version) && c.given["allow-downgrade"] != "true":
			return release{}, version + " is older than " + h.installed.version
		case h.quarantine[digest] && c.given["allow-quarantined"] != "true":
			return release{}, "this image is quarantined"
		}
		return release{version: version, digest: digest}, ""
	}
	if version == "" {
		version = h.previous
	}
	known, healthy := h.healthyHere(version)
	switch {
	case version == "":
		return release{}, "there is no release before to go back to"
	case version == h.installed.version:
		return release{}, version + " is what runs here"
	case !healthy:
		return release{}, version + " was never seen healthy here"
	}
	return known, ""
}

var killed = localaws.Exit{Code: 137}

// switchTo lets the change take its time, unlocked. A command that is killed meanwhile is
// taken back by the host itself.
func (h *Host) switchTo(ctx context.Context, c call, target release, course Behavior) localaws.Exit {
	from := h.installed
	h.changes = append(h.changes, Change{Deployment: c.given["deployment"], Generation: c.number("generation"), Version: target.version, Started: time.Now()})
	h.busy, h.free = c.given["deployment"], make(chan struct{})
	h.installed = release{version: target.version, digest: target.digest}
	h.mu.Unlock()
	whole := wait(ctx, course.Duration)
	h.mu.Lock()
	if !whole {
		go func() {
			time.Sleep(recovery)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.installed = from
			h.answer(c, "rolled-back", 30, "cut off", true)
			h.done()
		}()
		return killed
	}
	defer h.done()
	switch {
	case course.RollbackFails:
		h.installed, h.stuck = release{version: from.version, digest: from.digest}, true
		return h.answer(c, "rollback-failed", 41, "unhealthy, and going back went wrong", true)
	case course.Unhealthy:
		h.installed = from
		if _, healthy := h.healthyHere(target.version); !healthy {
			h.quarantine[target.digest] = true
		}
		return h.answer(c, "rolled-back", 40, "unhealthy; "+or(from.version, "nothing")+" is installed", true)
	}
	target.verified, target.since = true, time.Now()
	h.installed, h.drift, h.stuck = target, nil, false
	delete(h.quarantine, target.digest)
	h.seen = append(slices.DeleteFunc(h.seen, func(r release) bool { return r.version == target.version }), target)
	h.keepBefore(c, from)
	return h.answer(c, "deployed", 0, target.version+" runs", true)
}

// keepBefore is what the host goes back to from now on.
func (h *Host) keepBefore(c call, from release) {
	if c.command == "deploy" {
		if from.verified && from.version != h.installed.version {
			h.previous = from.version
		}
		return
	}
	h.previous = ""
	for _, r := range h.seen {
		if older(r.version, h.installed.version) && (h.previous == "" || older(h.previous, r.version)) {
			h.previous = r.version
		}
	}
}

func (h *Host) done() {
	h.busy = ""
	close(h.free)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
