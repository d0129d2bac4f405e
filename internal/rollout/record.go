package rollout

import (
	"context"
	"time"

	"github.com/org/atta-deploy-action/internal/lease"
)

// Record is a run in the history.
type Record struct {
	Format      int          `json:"v"`
	Operation   Operation    `json:"operation"`
	Service     string       `json:"service"`
	Environment string       `json:"environment"`
	Version     string       `json:"version"`
	Source      string       `json:"source,omitempty"` // what the image was pushed from
	Image       string       `json:"image,omitempty"`
	Digest      string       `json:"digest,omitempty"`
	Bundle      string       `json:"bundle,omitempty"`
	Status      Outcome      `json:"status"`
	Generation  int64        `json:"generation"`
	Holder      lease.Holder `json:"holder"`
	Seconds     int          `json:"seconds"`
	CommandIDs  []string     `json:"command_ids,omitempty"`
	Hosts       []HostRecord `json:"hosts"`
}

// HostRecord is one instance in a Record.
type HostRecord struct {
	Instance string `json:"instance"`
	Name     string `json:"name,omitempty"`
	State    State  `json:"state"`
	Wave     int    `json:"wave,omitempty"`
	Before   string `json:"before,omitempty"`
	Runs     string `json:"runs,omitempty"`
	Digest   string `json:"digest,omitempty"`
	Says     string `json:"says,omitempty"`
	WasDown  bool   `json:"was_down,omitempty"`
	WasBusy  bool   `json:"was_busy,omitempty"`
}

// finishTimeout bounds each of a run's last two requests, and cancelledFinishTimeout those
// of a run that was cancelled: GitHub leaves it a few seconds. A lease that is not released
// expires.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
const (
	finishTimeout          = 10 * time.Second
	cancelledFinishTimeout = time.Second
)

// finishRun records the result and releases the lease. A problem with that changes nothing
// of what the instances run.
func (r *run) finishRun(ctx context.Context) {
	if r.lease == nil {
		return
	}
	limit := finishTimeout
	if ctx.Err() != nil {
		limit = cancelledFinishTimeout
	}
	recording, stop := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer stop()
	_ = r.console.SaveState(stateEnded, string(r.result.Status)) // otherwise the post step takes the run for one that was cut off
	recorded := r.writeRecord(recording, r.result.Status)
	if recorded != nil {
		r.console.Warning("The run is not in the history", "%v; see %s", recorded, leftoverPage)
	}
	releasing, stop := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer stop()
	released := r.lease.Release(releasing)
	if released != nil {
		r.console.Warning("The deploy lock was not released", "it expires in about two minutes: %v; see %s", released, leftoverPage)
	}
	if recorded == nil && released == nil && len(hostsIn(r.result.Hosts, Unknown)) == 0 {
		_ = r.console.SaveState(stateFinished, "true") // otherwise the post step checks again, and finds nothing to do
	}
}

// recordProgress keeps in the history how far the run is, so that a clean-up knows which
// instances it was about.
func (r *run) recordProgress(ctx context.Context) {
	if err := r.writeRecord(ctx, OutcomeRunning); err != nil {
		r.console.Warning("The run is not in the history", "%v; see %s", err, leftoverPage)
	}
}

func (r *run) writeRecord(ctx context.Context, status Outcome) error {
	return r.services.Lease.WriteRecord(ctx, r.plan.DeploymentID, newRecord(r.plan, r.result, r.lease, status))
}

func newRecord(plan Plan, result Result, held *lease.Lease, status Outcome) Record {
	holder := plan.Holder
	holder.Since = held.AcquiredAt()
	return Record{
		Format: 1, Operation: plan.Operation, Service: plan.Release.Service, Environment: plan.Release.Environment, Version: plan.Release.Version.String(),
		Source: plan.Image.Source, Image: result.Image.URI, Digest: result.Image.Digest, Bundle: result.Bundle.URI,
		Status: status, Generation: held.Generation(), Holder: holder,
		Seconds: int(result.Elapsed / time.Second), CommandIDs: result.CommandIDs, Hosts: recordHosts(result.Hosts),
	}
}

func recordHosts(hosts []*Host) []HostRecord {
	list := make([]HostRecord, 0, len(hosts))
	for _, host := range hosts {
		record := HostRecord{
			Instance: host.ID, Name: host.Name, State: host.State, Wave: host.Wave, Before: host.Before, Runs: host.Runs(), Says: host.Message,
			WasDown: host.wasDown, WasBusy: host.wasBusy,
		}
		if host.Report != nil && !host.stale {
			record.Digest = host.Report.Digest
		}
		list = append(list, record)
	}
	return list
}
