package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/release"
)

// cleanUp finishes what an interrupted run could not: it cancels the commands, asks the
// instances for their results, records them and releases the lease. The saved state is
// input: a workflow can set its variables. It counts as far as the history and SSM agree
// that it is of this workflow run.
func (r *run) cleanUp(ctx context.Context, account Account) error {
	left := r.plan.Leftover
	r.plan.DeploymentID, r.plan.Release.Version = left.Deployment, release.Version{}
	r.result.Plan, r.result.CommandIDs = r.plan, left.Commands
	if left.isEmpty() {
		r.console.Info("nothing to clean up")
		r.result.Idle = true
		return nil
	}
	if err := r.connectAccount(ctx, account); err != nil {
		return err
	}
	err := r.resolveLeftover(ctx, left)
	if errors.Is(err, errOtherRun) {
		return err
	}
	return errors.Join(err, r.services.Lease.ReleaseByToken(context.WithoutCancel(ctx), left.Lock))
}

var errOtherRun = errors.New("the saved state is of another workflow run, and nothing was cleaned up")

func (r *run) resolveLeftover(ctx context.Context, left Leftover) error {
	var record Record
	found, err := r.services.Lease.ReadRecord(ctx, left.Deployment, &record)
	if err != nil {
		return err
	}
	if owner := record.Holder; found && (owner.Deployment != left.Deployment || owner.RunURL != r.plan.Holder.RunURL) {
		return fmt.Errorf("%w: deployment %s belongs to %q", errOtherRun, left.Deployment, owner.RunURL)
	}
	if !found && len(left.Commands) > 0 && !left.knowsAll() {
		return fmt.Errorf("the history has no record of deployment %s: its commands (%s) were not cancelled, and no instance was asked for its result", left.Deployment, joinIDs(left.Commands))
	}
	r.restoreRecord(record)
	if !found || record.Status != OutcomeRunning && len(hostsIn(r.result.Hosts, Unknown)) == 0 {
		r.console.Info("the state of every instance is known; the lock is released")
		r.result.Idle, r.result.Status = true, record.Status
		return nil
	}
	problem := r.services.Fleet.CancelIfCommented(ctx, []string{left.Deployment, left.Deployment + rollbackSuffix}, left.Commands...)
	// The next lease has at least this generation, and that run's commands a lower one.
	r.fence = record.Generation + 1
	want := expectation{deployment: left.Deployment, service: record.Service, version: record.Version, digest: record.Digest}
	if err := r.checkDocument(ctx); err != nil {
		problem = errors.Join(problem, err)
	} else {
		problem = errors.Join(problem, r.commander().resolveUnknown(ctx, want, r.result.Hosts))
	}
	for _, host := range r.result.Hosts {
		r.console.Info("%s: %s: %s", host.Instance, host.State, cmp.Or(host.Message, "not touched"))
		if !host.hasRelease() {
			r.console.Untrusted(host.Log)
		}
	}
	if record.Status == OutcomeRunning {
		record.Status = left.outcome(ctx, r.result.Hosts, problem)
	}
	r.result.Status = record.Status
	record.Hosts = recordHosts(r.result.Hosts)
	return errors.Join(problem, unhealthyError(hostsIn(r.result.Hosts, Unknown), len(r.result.Hosts)), r.services.Lease.WriteRecord(ctx, left.Deployment, record))
}

// knowsAll reports whether the run has ended with the state of every instance known. A failed rollback comes before what is
// unknown.
func (l Leftover) knowsAll() bool {
	switch l.Ended {
	case "", OutcomeUnknown, OutcomeCancelled, OutcomeRollbackFailed:
		return false
	}
	return true
}

// outcome is that of a run whose end is not in the history. Its word for a success counts as far as the hosts bear
// it out.
func (l Leftover) outcome(ctx context.Context, hosts []*Host, problem error) Outcome {
	switch l.Ended {
	case OutcomeSuccess:
		return fleetOutcome(ctx, hosts, problem)
	case OutcomeFailed, OutcomeRolledBack, OutcomeRollbackFailed, OutcomeUnknown:
		return l.Ended
	}
	return OutcomeCancelled
}

// restoreRecord takes the run's own record as what is known.
func (r *run) restoreRecord(record Record) {
	r.plan.Release.Version, _ = release.ParseVersion(record.Version)
	r.result.Plan = r.plan
	r.result.Image.URI, r.result.Image.Digest, r.result.Bundle.URI = record.Image, record.Digest, record.Bundle
	for _, line := range record.Hosts {
		host := &Host{
			Instance: fleet.Instance{ID: line.Instance, Name: line.Name}, State: line.State, Wave: line.Wave, Before: line.Before, Message: line.Says,
			wasDown: line.WasDown, wasBusy: line.WasBusy,
		}
		// One that has got the release may have been rolled back since.
		if record.Status == OutcomeRunning && (line.State == NotStarted || host.hasRelease()) && len(r.plan.Leftover.Commands) > 0 {
			host.State, host.Message = Unknown, "the run was interrupted"
		}
		r.result.Hosts = append(r.result.Hosts, host)
	}
}
