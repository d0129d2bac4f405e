package rollout

import (
	"context"
	"time"

	"github.com/org/atta-deploy-action/internal/ledger"
)

// Record is a run in the ledger's history.
type Record struct {
	Format      int           `json:"v"`
	Service     string        `json:"service"`
	Environment string        `json:"environment"`
	Version     string        `json:"version"`
	Image       string        `json:"image,omitempty"`
	Bundle      string        `json:"bundle,omitempty"`
	Status      Status        `json:"status"`
	Generation  int64         `json:"generation"`
	Holder      ledger.Holder `json:"holder"`
	Seconds     int           `json:"seconds"`
	CommandIDs  []string      `json:"command_ids,omitempty"`
	Hosts       []HostRecord  `json:"hosts"`
}

// HostRecord is what became of one instance.
type HostRecord struct {
	Instance string `json:"instance"`
	State    State  `json:"state"`
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
	if err := r.services.Ledger.Record(recording, r.plan.DeploymentID, r.record()); err != nil {
		r.console.Notice("The run is not in the history", "%v", err)
	}
	releasing, stop := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer stop()
	if err := r.lock.Release(releasing); err != nil {
		r.console.Notice("The deploy lock was not released", "it is free in about two minutes: %v", err)
	}
}

func (r *run) record() Record {
	holder := r.plan.Holder
	holder.Since = r.lock.Since()
	rel := r.plan.Release
	record := Record{
		Format: 1, Service: rel.Service, Environment: rel.Environment, Version: rel.Version.String(),
		Image: r.result.Image.URI, Bundle: r.result.Bundle.URI,
		Status: r.result.Status, Generation: r.lock.Generation(), Holder: holder,
		Seconds: int(r.result.Elapsed / time.Second), CommandIDs: r.result.CommandIDs, Hosts: make([]HostRecord, 0, len(r.result.Hosts)),
	}
	for _, host := range r.result.Hosts {
		line := HostRecord{Instance: host.ID, State: host.State, Before: host.Before, Runs: host.Runs(), Says: host.Message}
		if host.Report != nil {
			line.Digest = host.Report.Digest
		}
		record.Hosts = append(record.Hosts, line)
	}
	return record
}
