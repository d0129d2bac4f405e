package rollout

import (
	"context"
	"errors"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/release"
)

// Leftover is what a run has left behind for the step after it; all of it may be empty.
type Leftover struct {
	Deployment string
	Lock       string   // the token of the lock
	Commands   []string // the ids of those it has sent
	Finished   bool     // it has done everything itself
}

// tidyUp does what a run that was cut off could not do any more: it cancels the commands,
// asks the instances what became of them, writes that down and frees the lock.
func (r *run) tidyUp(ctx context.Context, account Account) error {
	left := r.plan.Leftover
	r.plan.DeploymentID, r.plan.Release.Version = left.Deployment, release.Version{}
	r.result.Plan, r.result.CommandIDs = r.plan, left.Commands
	if left.Finished || left.Deployment == "" {
		r.console.Info("nothing was left to do")
		r.result.Idle = true
		return nil
	}
	if err := r.connect(ctx, account); err != nil {
		return err
	}
	err := r.settleLeft(ctx, left)
	return errors.Join(err, r.services.Lease.ReleaseByToken(context.WithoutCancel(ctx), left.Lock))
}

func (r *run) settleLeft(ctx context.Context, left Leftover) error {
	var record Record
	found, err := r.services.Lease.ReadRecord(ctx, left.Deployment, &record)
	if err != nil {
		return err
	}
	r.recall(record)
	if !found || record.Status != OutcomeRunning && len(unknown(r.result.Hosts)) == 0 {
		r.console.Info("no instance is in doubt; the lock is freed")
		r.result.Idle, r.result.Status = true, record.Status
		return nil
	}
	problem := r.services.Fleet.Cancel(ctx, left.Commands...)
	// The next lock has at least this generation, and what that run has sent a lower one.
	r.fence = record.Generation + 1
	w := want{deployment: left.Deployment, service: record.Service, version: record.Version, digest: record.Digest}
	problem = errors.Join(problem, r.settleUnknown(ctx, w, r.result.Hosts))
	for _, host := range r.result.Hosts {
		r.console.Info("%s: %s: %s", host.Instance, host.State, or(host.Message, "not touched"))
	}
	if record.Status == OutcomeRunning {
		record.Status = OutcomeCancelled
	}
	r.result.Status = record.Status
	record.Hosts = hostRecords(r.result.Hosts)
	return errors.Join(problem, failures(unknown(r.result.Hosts), len(r.result.Hosts)), r.services.Lease.WriteRecord(ctx, left.Deployment, record))
}

// recall takes the run's own record as what is known.
func (r *run) recall(record Record) {
	r.plan.Release.Version, _ = release.ParseVersion(record.Version)
	r.result.Plan = r.plan
	r.result.Image.URI, r.result.Image.Digest, r.result.Bundle.URI = record.Image, record.Digest, record.Bundle
	for _, line := range record.Hosts {
		host := &Host{Instance: fleet.Instance{ID: line.Instance, Name: line.Name}, State: line.State, Wave: line.Wave, Before: line.Before, Message: line.Says}
		if record.Status == OutcomeRunning && line.State == NotStarted && len(r.plan.Leftover.Commands) > 0 {
			host.State, host.Message = Unknown, "the run was cut off"
		}
		r.result.Hosts = append(r.result.Hosts, host)
	}
}
