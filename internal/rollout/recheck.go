package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/lease"
)

// deployWave deploys to some hosts at once, and asks those that have answered before, in an earlier wave or long
// before the end of this one, whether they still run the release. When one of either does not, the rollout is
// aborted. A host that has disappeared since the first wave says nothing about the release: it is left out, and the
// run fails at its end. Neither does a new host, in no wave, that has not tried it, since the others keep the
// release, or such a host in a rollback, since the others have to be rolled back.
func (r *run) deployWave(ctx context.Context, title string, wave, earlier []*Host) error {
	var kept error // of a new host that says nothing about the release
	reachable := wave
	if len(earlier) > 0 || r.plan.Operation == Rollback {
		reachable = r.commander().dropUnreachable(ctx, wave)
	}
	if len(reachable) > 0 {
		err := r.runWave(ctx, title, reachable)
		blameless := !slices.ContainsFunc(wave, (*Host).triedRelease) && !isDone(ctx)
		_, hostsOnly := err.(*UnhealthyError) //nolint:errorlint // and not an error that concerns the hosts of the next waves
		switch isNew := wave[0].Wave == 0; {
		case err == nil, r.plan.Operation == Rollback && blameless && hostsOnly:
		case isNew && blameless:
			kept = err
		default:
			return r.abortRollout(ctx, wave, err)
		}
	}
	early := slices.DeleteFunc(slices.Clone(reachable), func(h *Host) bool { return time.Since(h.seen) <= restartWindow })
	earlier = slices.Concat(earlier, early)
	if err := r.recheckHosts(ctx, earlier, 0); err != nil {
		return r.abortRollout(ctx, r.wavesOf(earlier), err)
	}
	if kept != nil {
		return r.keepRelease(ctx, kept)
	}
	return nil
}

// restartWindow is how long a host reports that its container was started again, and more than most take to boot.
const restartWindow = time.Minute

// recheckHosts asks hosts that have got the release whether they still run it. One that
// does not is an error. One that does not answer within the limit is left as unknown: that says nothing
// about the release, so nothing is rolled back for it, and the run fails at its end. One that never had the release has
// nothing to be asked about.
func (r *run) recheckHosts(ctx context.Context, hosts []*Host, limit time.Duration) error {
	hosts = slices.DeleteFunc(slices.Clone(hosts), func(h *Host) bool { return !h.proved })
	if len(hosts) == 0 {
		return nil
	}
	return r.runGroup(ctx, "Check again: "+Instances(len(hosts)), func(ctx context.Context) error {
		err := r.askEarlierHosts(ctx, hosts, limit)
		if err != nil && !isDone(ctx) {
			r.console.Info("not asked again: %v", err)
			err = nil
		}
		failed := hostsIn(hosts, Drifted)
		for _, host := range failed {
			r.console.Info("%s: %s", host.Instance, host.Message)
		}
		return errors.Join(err, unhealthyError(failed, len(r.result.Hosts)))
	})
}

// askEarlierHosts asks the hosts, and once more those that seem not to run the release: a program that was
// started again may be up by then. One that is down, perhaps since its host reboots, or only was started again has
// until the end of restartWindow to be up and stay so.
func (r *run) askEarlierHosts(ctx context.Context, hosts []*Host, limit time.Duration) error {
	started, healthy := time.Now(), map[*Host]Host{}
	for _, host := range hosts {
		healthy[host] = *host
	}
	for polls := 1; ; polls++ {
		for _, host := range hosts {
			*host = healthy[host]
			host.State, host.Message, host.stale = Unknown, "it was healthy, and could not be asked again", true
		}
		err := r.commander().askAgain(ctx, "", hosts, limit, func(host *Host, report *deploy.Report, silence string) {
			if report == nil {
				host.Message = "it was healthy, and now it " + silence
				return
			}
			host.applyRecheck(report)
			if host.State == Installed && healthy[host].State == Running && r.expectation().mustRun {
				host.State, host.Drift = Drifted, []string{"not-run"}
				host.Message = "its job was at work, and no run of the release is to be seen any more"
			}
		})
		if err != nil {
			return err
		}
		hosts = slices.DeleteFunc(hostsIn(hosts, Drifted), func(h *Host) bool {
			switch {
			case slices.Contains(h.Drift, "version") || slices.Contains(h.Drift, "digest"):
				return true
			case len(h.Drift) == 1 && (h.Drift[0] == "restarts" || h.Drift[0] == "inactive"):
				return time.Since(started) > restartWindow
			}
			return polls > 1
		})
		if len(hosts) == 0 {
			return nil
		}
		if !sleepContext(ctx, resolveInterval) {
			return context.Cause(ctx)
		}
	}
}

// applyRecheck compares a later status with what the host has proved. A host that still has the release
// keeps its report. The failure of a run before the rollback says nothing about what runs, and neither does an
// engine that does not answer.
func (h *Host) applyRecheck(report *deploy.Report) {
	h.stale = false
	seen := *report
	seen.Drift = driftOfRelease(report)
	if seen.Evidence == deploy.EvidenceNotRun && h.Report.Evidence == deploy.EvidenceNotRun {
		seen.Unit = unitInactive
	}
	now := *h
	now.Report = &seen
	now.compareWith(lease.Current{Version: h.Report.Version, Digest: h.Report.Digest})
	switch now.State {
	case Drifted:
		now.Message = "it was healthy, and now it " + now.Message
		if slices.Contains(now.Drift, "engine") || slices.Contains(now.Drift, "image") {
			h.Message = now.Message
			return
		}
		*h = now
	case Busy:
		h.Message, h.stale = "it was healthy, and now another deploy is at work there", true
	default:
		h.State, h.Message = stateOf(h.Report), h.Report.Message
		if later := stateOf(report); h.State != Deployed && h.State != later { // a job has gone on
			h.State, h.Message = later, now.Message
		}
	}
}

// driftOfRelease is how a host differs from its release. A timer or a unit file that was changed, or a mark of an
// earlier failure, says nothing about what runs; a run of this release that has failed does.
func driftOfRelease(report *deploy.Report) []string {
	notOfRelease := []string{"timer", "disabled", "unit-file", "last-run", "last-deploy"}
	return slices.DeleteFunc(slices.Clone(report.Drift), func(word string) bool {
		return slices.Contains(notOfRelease, word) && (word != "last-run" || report.Evidence != deploy.EvidenceFailed)
	})
}

// keepRelease records the release as current although the run fails: what is wrong with a few hosts, which the
// error names, says nothing about it.
func (r *run) keepRelease(ctx context.Context, cause error) error {
	var unhealthy *UnhealthyError
	if errors.As(cause, &unhealthy) { // of one wave
		unhealthy.Hosts = withoutRelease(r.result.Hosts)
	} else {
		cause = errors.Join(cause, unhealthyError(r.result.Hosts, len(r.result.Hosts)))
	}
	if !slices.ContainsFunc(r.result.Hosts, (*Host).hasRelease) {
		return cause
	}
	return fmt.Errorf("every other instance runs %s, and keeps it: %w", r.plan.Release.Version, errors.Join(cause, r.setCurrent(r.leaseContext(ctx))))
}

// wavesOf are the hosts of each wave that has one of these hosts and failed since.
func (r *run) wavesOf(hosts []*Host) []*Host {
	failed := map[int]bool{}
	for _, host := range hosts {
		failed[host.Wave] = failed[host.Wave] || host.State == Drifted
	}
	return slices.DeleteFunc(slices.Clone(r.result.Hosts), func(h *Host) bool { return !failed[h.Wave] })
}
