package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/lease"
)

// UnhealthyError lists the hosts that are not proved to run the release.
type UnhealthyError struct {
	Hosts     []*Host
	Of        int // hosts in all
	Back      int // that ran it and were taken back
	Untouched int
}

// maxNamed is how many hosts an error names.
const maxNamed = 5

func (e *UnhealthyError) Error() string {
	var lines []string
	if e.Of > 1 && len(e.Hosts) > 0 {
		lines = append(lines, fmt.Sprintf("%d of %d instances are not known to run the release", len(e.Hosts), e.Of))
	}
	for _, host := range e.Hosts[:min(len(e.Hosts), maxNamed)] {
		lines = append(lines, fmt.Sprintf("instance %s: %s: %s", host.Instance, host.State, host.Message))
	}
	if more := len(e.Hosts) - maxNamed; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	if e.Back > 0 {
		lines = append(lines, Instances(e.Back)+" that ran it went back to what ran there before")
	}
	if e.Untouched > 0 {
		lines = append(lines, Instances(e.Untouched)+" not touched")
	}
	return strings.Join(lines, "\n")
}

// failures is nil when each of the hosts, of so many in all, runs the release.
func failures(hosts []*Host, of int) error {
	var bad []*Host
	for _, host := range hosts {
		if host.State != Deployed {
			bad = append(bad, host)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return &UnhealthyError{Hosts: bad, Of: of}
}

// giveUp ends a rollout: what this run has changed goes back as far as the plan says, the
// image is quarantined if it was to blame, and the error says where everything is now.
func (r *run) giveUp(ctx context.Context, wave []*Host, cause error) error {
	r.quarantine(ctx)
	var unhealthy *UnhealthyError
	if !errors.As(cause, &unhealthy) {
		unhealthy = &UnhealthyError{Of: len(r.result.Hosts)}
		cause = errors.Join(cause, unhealthy)
	}
	back := r.toGoBack(wave)
	err := r.goBack(ctx, back)
	for _, host := range back {
		if host.State == RolledBack {
			unhealthy.Back++
		} else if !slices.Contains(unhealthy.Hosts, host) {
			unhealthy.Hosts = append(unhealthy.Hosts, host)
		}
	}
	for _, host := range r.result.Hosts {
		if host.State == NotStarted {
			unhealthy.Untouched++
		}
	}
	return errors.Join(cause, err)
}

// toGoBack are the hosts that this run has made run the release, as far as the plan says
// that they go back.
func (r *run) toGoBack(wave []*Host) (list []*Host) {
	if r.plan.Operation == Rollback || r.plan.RollbackOnFailure == "none" {
		return nil
	}
	hosts := r.result.Hosts
	if r.plan.RollbackOnFailure == "wave" {
		hosts = wave
	}
	for _, host := range hosts {
		switch {
		case host.State != Deployed || !host.Changed:
		case host.Before == "":
			host.Message += "; it ran nothing before, so there is nothing to go back to"
		default:
			list = append(list, host)
		}
	}
	return list
}

// goBack tells hosts to go back to what they were last seen healthy with, each to its own.
func (r *run) goBack(ctx context.Context, hosts []*Host) error {
	if len(hosts) == 0 {
		return nil
	}
	if ended(r.guarded(ctx)) {
		r.console.Notice("Not taken back", "%s run %s: the run ended before they could be told to go back", Instances(len(hosts)), r.plan.Release.Version)
		return nil
	}
	return r.group(ctx, "Go back: "+Instances(len(hosts)), func(ctx context.Context) error {
		id := r.plan.DeploymentID + "-back"
		err := r.command(ctx, r.wayBack(id, ""), want{deployment: id, service: r.plan.Release.Service}, hosts)
		for _, host := range hosts {
			switch host.State {
			case Deployed: // what it was told to run
				host.State, host.Message = RolledBack, "ran the release, and was taken back"
			case RolledBack, NotDeployed:
				host.State, host.Message = RollbackFailed, fmt.Sprintf("still runs %s: %s", r.plan.Release.Version, host.Message)
			}
		}
		r.note(ctx)
		return err
	})
}

// unhealthyCodes are the exit codes of a release that was started and found unhealthy.
var unhealthyCodes = []int{40, 41}

// quarantine keeps an image that was found unhealthy from being deployed again.
func (r *run) quarantine(ctx context.Context) {
	blame := func(h *Host) bool {
		return (h.State == RolledBack || h.State == RollbackFailed) && h.Report != nil && slices.Contains(unhealthyCodes, h.Report.Code)
	}
	if r.plan.Operation != Deploy || !slices.ContainsFunc(r.result.Hosts, blame) || ctx.Err() != nil {
		return
	}
	err := r.services.Lease.UpdateCurrent(r.guarded(ctx), r.lock.Generation(), func(c *lease.Current) {
		c.Quarantine(lease.Quarantine{
			Digest: r.result.Image.Digest, Version: r.plan.Release.Version.String(), Deployment: r.plan.DeploymentID, Since: time.Now().UTC().Truncate(time.Second),
		})
	})
	if err != nil {
		r.console.Notice("The image is not quarantined", "%v", err)
	}
}

// describe counts the states in a line: 3 Success, 1 InProgress.
func describe(states fleet.States) string {
	parts := make([]string, 0, len(states))
	for _, state := range slices.Sorted(maps.Keys(states)) {
		parts = append(parts, fmt.Sprintf("%d %s", states[state], state))
	}
	return strings.Join(parts, ", ")
}

func joined(ids []string) string { return strings.Join(ids, ",") }
