package rollout

import (
	"context"
	"time"

	"github.com/org/atta-deploy-action/internal/lease"
)

// Record is a run in the ledger's history.
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

// HostRecord is what became of one instance.
type HostRecord struct {
	Instance string `json:"instance"`
	Name     string `json:"name,omitempty"`
	State    State  `json:"state"`
	Wave     int    `json:"wave,omitempty"`
	Before   string `json:"before,omitempty"`
	Runs     string `json:"runs,omitempty"`
	Digest   string `json:"digest,omitempty"`
	Says     string `json:"says,omitempty"`
}

// closeTimeout bounds each of a run's last two requests, and hurriedTimeout those of a run
// that was cancelled: GitHub leaves it a few seconds. A lock that is not released is free
// after its expiry.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
const (
	closeTimeout   = 10 * time.Second
	hurriedTimeout = time.Second
)

// close writes down what the run has come to and frees the lock. What goes wrong with
// that changes nothing of what the instances run.
func (r *run) close(ctx context.Context) {
	if r.lock == nil {
		return
	}
	limit := closeTimeout
	if ctx.Err() != nil {
		limit = hurriedTimeout
	}
	recording, stop := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer stop()
	recorded := r.writeDown(recording, r.result.Status)
	if recorded != nil {
		r.console.Notice("The run is not in the history", "%v", recorded)
	}
	releasing, stop := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer stop()
	released := r.lock.Release(releasing)
	if released != nil {
		r.console.Notice("The deploy lock was not released", "it is free in about two minutes: %v", released)
	}
	if recorded == nil && released == nil && !r.open() {
		_ = r.console.SaveState("finished", "true") // else the next step looks at it once more, and finds nothing to do
	}
}

// note keeps in the history how far the run has come, so that whoever tidies up after it
// knows which instances it was about.
func (r *run) note(ctx context.Context) {
	if err := r.writeDown(ctx, OutcomeRunning); err != nil {
		r.console.Notice("The run is not in the history", "%v", err)
	}
}

// open tells whether there is an instance of which nobody knows what it runs.
func (r *run) open() bool { return len(unknown(r.result.Hosts)) > 0 }

func (r *run) writeDown(ctx context.Context, status Outcome) error {
	return r.services.Lease.WriteRecord(ctx, r.plan.DeploymentID, r.record(status))
}

func (r *run) record(status Outcome) Record {
	holder := r.plan.Holder
	holder.Since = r.lock.AcquiredAt()
	rel := r.plan.Release
	record := Record{
		Format: 1, Operation: r.plan.Operation, Service: rel.Service, Environment: rel.Environment, Version: rel.Version.String(),
		Source: r.plan.Source, Image: r.result.Image.URI, Digest: r.result.Image.Digest, Bundle: r.result.Bundle.URI,
		Status: status, Generation: r.lock.Generation(), Holder: holder,
		Seconds: int(r.result.Elapsed / time.Second), CommandIDs: r.result.CommandIDs,
	}
	record.Hosts = hostRecords(r.result.Hosts)
	return record
}

func hostRecords(hosts []*Host) []HostRecord {
	list := make([]HostRecord, 0, len(hosts))
	for _, host := range hosts {
		line := HostRecord{
			Instance: host.ID, Name: host.Name, State: host.State, Wave: host.Wave, Before: host.Before, Runs: host.Runs(), Says: host.Message,
		}
		if host.Report != nil {
			line.Digest = host.Report.Digest
		}
		list = append(list, line)
	}
	return list
}
