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
	"github.com/org/atta-deploy-action/internal/release"
)

// DriftError lists the hosts that are out of sync.
type DriftError struct {
	Hosts []*Host
	Of    int    // hosts in all
	Other string // the newest verified version that they run instead of what should run; empty: none
	Newer bool   // Other is newer than what should run
	Alone bool   // nothing else runs, and its image is not quarantined
}

func newDriftError(drifted, all []*Host, current lease.Current) *DriftError {
	e := &DriftError{Hosts: drifted, Of: len(all)}
	others := slices.DeleteFunc(slices.Clone(drifted), func(h *Host) bool {
		return h.Report == nil || h.State == Busy || !h.Report.Verified || h.Report.Version == current.Version
	})
	e.Other = newestVersion(others)
	recorded, err := release.ParseVersion(current.Version)
	other, unknown := release.ParseVersion(e.Other)
	if err != nil || unknown != nil {
		e.Other = ""
		return e
	}
	e.Newer = other.Compare(recorded) > 0
	e.Alone = !slices.ContainsFunc(all, func(h *Host) bool {
		return h.Report == nil || h.Report.Version != e.Other || current.FindQuarantine(h.Report.Digest) != nil
	})
	return e
}

func (e *DriftError) Error() string {
	first := fmt.Sprintf("%d of %s out of sync", len(e.Hosts), Instances(e.Of))
	return strings.Join(append([]string{first}, describeHosts(e.Hosts)...), "\n")
}

// inspectFleet asks every instance what it runs and compares that with what should run. It
// takes no lease and changes nothing.
func (r *run) inspectFleet(ctx context.Context, account Account) error {
	if err := r.connectAccount(ctx, account); err != nil {
		return err
	}
	ready, unready, err := r.services.Fleet.Find(ctx, r.plan.Targets)
	current, problem := r.services.Lease.ReadCurrent(ctx)
	if err := errors.Join(err, problem, r.checkDocument(ctx)); err != nil {
		return err
	}
	r.result.Current = current
	r.result.Hosts = newHosts(ready)
	r.noticeHolder(ctx)
	_, err = r.commander().queryHosts(ctx, r.result.Hosts, true) // a host that cannot answer is shown as such
	answered := slices.ContainsFunc(r.result.Hosts, func(h *Host) bool { return h.Report != nil })
	if err != nil && !answered {
		return err
	}
	if err := r.checkKnown(r.result.Hosts); err != nil {
		return err
	}
	for _, host := range r.result.Hosts {
		host.compareWith(current)
	}
	for _, problem := range unready {
		r.result.Hosts = append(r.result.Hosts, &Host{Instance: problem.Instance, State: Unknown, Message: problem.Reason})
	}
	if n := len(r.result.Hosts); n < r.plan.Targets.MinInstances {
		return &TooFewError{Found: ready, Want: r.plan.Targets.MinInstances}
	}
	var drifted []*Host
	for _, host := range r.result.Hosts {
		r.console.Info("%s: %s: %s", host.Instance, host.State, host.Message)
		if host.State != InSync && host.State != Running && host.State != Installed {
			drifted = append(drifted, host)
		}
	}
	err = setOutputs(r.console, "instance-count", fmt.Sprint(len(r.result.Hosts)))
	if len(drifted) > 0 && r.plan.FailOnDrift {
		err = errors.Join(err, newDriftError(drifted, r.result.Hosts, current))
	}
	return err
}

// ErrUnknownService is returned if no release of the service is installed or recorded.
var ErrUnknownService = errors.New("nobody knows the service")

// checkKnown is an error when every one of the hosts has answered that it has no release of the
// service, and nothing is recorded of it either.
func (r *run) checkKnown(hosts []*Host) error {
	known := func(h *Host) bool { return h.Report == nil || h.Report.Version != "" || h.Report.Busy }
	if len(hosts) == 0 || r.result.Current.Version != "" || slices.ContainsFunc(hosts, known) {
		return nil
	}
	return fmt.Errorf("%w %s in %s: no release of it is installed on %s, and none is recorded: nothing was deployed successfully yet, or service or environment is wrong",
		ErrUnknownService, r.plan.Release.Service, r.plan.Release.Environment, Instances(len(hosts)))
}

// compareWith sets the state of a host that has answered, by what should run.
func (host *Host) compareWith(current lease.Current) {
	report := host.Report
	if report == nil {
		host.State = Unknown
		return
	}
	drift := report.Drift
	switch {
	case current.Version == "" && report.Version != "":
		drift = append(drift, "record")
	case report.Version != current.Version:
		drift = append(drift, "version")
	case current.Digest != "" && report.Digest != current.Digest:
		drift = append(drift, "digest")
	}
	state := InSync
	if report.Version != "" && !report.Verified {
		switch report.Evidence {
		case deploy.EvidenceAtWork:
			state = Running
		case deploy.EvidenceNotRun:
			state = Installed
		default:
			drift = append(drift, "unverified")
		}
	}
	if report.Unit == unitFailed {
		drift = append(drift, "unit-state")
	}
	host.Drift, host.State, host.Message = drift, state, describeReport(report)
	if len(drift) > 0 {
		host.State = Drifted
		host.Message += "; differs in " + strings.Join(drift, ", ")
	}
	if slices.Contains(drift, "last-run") && report.Evidence == deploy.EvidenceFailed {
		if _, seen, ok := strings.Cut(report.Message, "; "); ok {
			host.Message += "; " + seen
		}
	}
	switch {
	case report.Busy:
		host.State = Busy
		host.Message += "; a deploy is at work"
	case slices.Contains(drift, "cut-off"):
		host.Message += "; a deploy was cut off there, and the next one rolls it back first"
	case current.Version == "" && report.Version != "":
		host.Message += "; nothing is recorded that should run"
	case report.Version != current.Version:
		host.Message += "; should run " + current.Version
	}
}

func describeReport(report *deploy.Report) string {
	if report.Version == "" {
		return "runs nothing"
	}
	text := "runs " + report.Version
	if report.Evidence == deploy.EvidenceNotRun && !report.Verified {
		text = "has " + report.Version + ", of which no run has succeeded yet"
	}
	if report.Since > 0 {
		text += ", verified since " + time.Unix(report.Since, 0).UTC().Format(time.RFC3339)
	}
	return text + ", unit " + cmp.Or(report.Unit, "unknown")
}
