package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/lease"
)

// UnhealthyError lists the hosts that are not proved to run the release.
type UnhealthyError struct {
	Hosts      []*Host
	Of         int // hosts in all
	RolledBack int // that ran it and were rolled back by this run
	Untouched  int
}

// maxNamed is how many hosts an error names.
const maxNamed = 5

func (e *UnhealthyError) Error() string {
	var lines []string
	if e.Of > 1 && len(e.Hosts) > 0 {
		lines = append(lines, fmt.Sprintf("%d of %d instances are not known to run the release", len(e.Hosts), e.Of))
	}
	lines = append(lines, describeHosts(e.Hosts)...)
	if e.RolledBack > 0 {
		lines = append(lines, Instances(e.RolledBack)+" that ran it rolled back to the previous release")
	}
	if e.Untouched > 0 {
		lines = append(lines, Instances(e.Untouched)+" not touched")
	}
	return strings.Join(lines, "\n")
}

// describeHosts is a line for each of the first maxNamed hosts, and one for the rest.
func describeHosts(hosts []*Host) (lines []string) {
	for _, host := range hosts[:min(len(hosts), maxNamed)] {
		lines = append(lines, fmt.Sprintf("instance %s: %s: %s", host.Instance, host.State, host.Message))
	}
	if more := len(hosts) - maxNamed; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

// nameHosts names the first maxNamed hosts.
func nameHosts(hosts []*Host) string {
	var names []string
	for _, host := range hosts[:min(len(hosts), maxNamed)] {
		names = append(names, host.String())
	}
	if more := len(hosts) - maxNamed; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// unhealthyError is nil when each of the hosts, of so many in all, runs the release.
func unhealthyError(hosts []*Host, of int) error {
	bad := withoutRelease(hosts)
	if len(bad) == 0 {
		return nil
	}
	return &UnhealthyError{Hosts: bad, Of: of}
}

func withoutRelease(hosts []*Host) []*Host {
	return slices.DeleteFunc(slices.Clone(hosts), (*Host).hasRelease)
}

// abortRollout ends a rollout: what this run has changed is rolled back as far as the plan
// says, the image is quarantined if it is to blame, and the error says what runs now.
func (r *run) abortRollout(ctx context.Context, wave []*Host, cause error) error {
	r.quarantineImage(ctx)
	var unhealthy *UnhealthyError
	if !errors.As(cause, &unhealthy) {
		unhealthy = &UnhealthyError{Of: len(r.result.Hosts)}
		cause = errors.Join(cause, unhealthy)
	}
	hosts := r.hostsToRollBack(wave)
	err := r.rollBackHosts(ctx, hosts)
	for _, host := range hosts {
		switch {
		case slices.Contains(unhealthy.Hosts, host):
		case host.State == RolledBack:
			unhealthy.RolledBack++
		default:
			unhealthy.Hosts = append(unhealthy.Hosts, host)
		}
	}
	for _, host := range r.result.Hosts {
		switch {
		case host.State == NotStarted:
			unhealthy.Untouched++
		case (host.State == Unknown || host.State == NotDeployed) && !slices.Contains(unhealthy.Hosts, host):
			unhealthy.Hosts = append(unhealthy.Hosts, host)
		}
	}
	return errors.Join(cause, err)
}

// hostsToRollBack are the hosts that this run has made run the release, as far as
// rollback-on-failure says.
func (r *run) hostsToRollBack(wave []*Host) (list []*Host) {
	if r.plan.Operation == Rollback || r.plan.Rollout.RollbackOnFailure == "none" {
		return nil
	}
	hosts := r.result.Hosts
	if r.plan.Rollout.RollbackOnFailure == "wave" {
		hosts = wave
	}
	for _, host := range hosts {
		switch {
		case !host.hasRelease() && host.State != Drifted && host.State != Unknown || !host.Changed:
		case host.Report.Version != r.plan.Release.Version.String(): // somebody has rolled it back
		case host.Before == "":
			host.Message += "; it ran nothing before, so there is nothing to roll back to"
		case host.Before == r.plan.Release.Version.String() && !host.changedByEarlierRun(r.expectation()):
			host.Message += "; it ran this release before, and keeps it"
		default:
			list = append(list, host)
		}
	}
	return list
}

// rollbackSuffix is what the id of a rollback has more than that of its deploy.
const rollbackSuffix = "-back"

// rollBackHosts makes hosts run their previous verified release, each its own.
func (r *run) rollBackHosts(ctx context.Context, hosts []*Host) error {
	if len(hosts) == 0 {
		return nil
	}
	if isDone(r.leaseContext(ctx)) {
		r.console.Warning("Not rolled back", "%s run %s: the run ended before they could be rolled back: %s", Instances(len(hosts)), r.plan.Release.Version, operationsPage)
		return nil
	}
	defer r.log.showLogs(hosts)
	return r.runGroup(ctx, "Roll back: "+Instances(len(hosts)), func(ctx context.Context) error {
		commander := r.commander()
		commander.header.DeploymentID += rollbackSuffix
		want := expectation{deployment: commander.header.DeploymentID, service: r.plan.Release.Service}
		drifted, silent := hostsIn(hosts, Drifted), hostsIn(hosts, Unknown)
		cause := map[*Host]string{}
		for _, host := range slices.Concat(drifted, silent) {
			cause[host] = host.Message + "; "
		}
		reachable := commander.dropUnreachable(ctx, hosts)
		err := commander.runCommand(ctx, commander.rollbackRequest(""), want, reachable)
		for _, host := range hosts {
			switch version := r.plan.Release.Version.String(); {
			case host.hasRelease() && host.Report.Version == version:
				host.State, host.Message = RollbackFailed, "still runs "+version+": it has no earlier release to roll back to"
			case host.hasRelease(): // it has what it was told to
				host.State, host.Message = RolledBack, cmp.Or(cause[host], "ran the release, and ")+"was rolled back"
				if now := host.Report.Version; now != host.Before {
					host.Message += " to " + now + ", which was seen to work last; it had " + host.Before + " before"
				}
			case host.State == NotDeployed && (slices.Contains(silent, host) || !slices.Contains(reachable, host)):
				host.State, host.Message, host.stale = Unknown, cmp.Or(cause[host], "it was healthy; ")+"it was not rolled back: "+host.Message, true
			case host.State == RolledBack || host.State == NotDeployed:
				host.State, host.Message = RollbackFailed, fmt.Sprintf("still runs %s: %s", version, host.Message)
			}
		}
		r.recordProgress(ctx)
		return err
	})
}

// foundUnhealthy reports whether a host started the release and found it unhealthy.
func (h *Host) foundUnhealthy() bool {
	if h.Report == nil {
		return false
	}
	// When its answer was lost, it says so later, and what it has rolled back to need not be up then.
	isAnswer := h.Report.About != "" || h.State == RolledBack || h.State == RollbackFailed
	return isAnswer && h.Report.Reason == deploy.ReasonUnhealthy
}

// quarantineImage keeps an image that was found unhealthy from being deployed again. An image
// that was healthy on a host before this run is not to blame: the host is, or what the run was given.
func (r *run) quarantineImage(ctx context.Context) {
	if r.plan.Operation != Deploy || !slices.ContainsFunc(r.result.Hosts, (*Host).foundUnhealthy) || isDone(ctx) {
		return
	}
	ranBefore := func(h *Host) bool { return h.verified == r.result.Image.Digest }
	if slices.ContainsFunc(r.result.Hosts, ranBefore) ||
		r.result.Current.Verified && r.result.Current.Digest == r.result.Image.Digest {
		r.console.Notice("The image is not quarantined", "%s was healthy before this run", r.plan.Release.Version)
		return
	}
	err := r.services.Lease.UpdateCurrent(r.leaseContext(ctx), r.lease.Generation(), func(c *lease.Current) {
		c.Quarantine(lease.Quarantine{
			Digest: r.result.Image.Digest, Version: r.plan.Release.Version.String(), Deployment: r.plan.DeploymentID, Since: time.Now().UTC().Truncate(time.Second),
		})
	})
	if err != nil {
		r.console.Warning("The image is not quarantined", "%v; it can be deployed again: %s", err, unhealthyPage)
	}
}
