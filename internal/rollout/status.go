package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/fleet"
)

// DriftError says which hosts are not as they should be.
type DriftError struct {
	Hosts []*Host
	Of    int
}

func (e *DriftError) Error() string {
	lines := []string{fmt.Sprintf("%d of %s out of sync", len(e.Hosts), Instances(e.Of))}
	for _, host := range e.Hosts[:min(len(e.Hosts), maxNamed)] {
		lines = append(lines, fmt.Sprintf("instance %s: %s: %s", host.Instance, host.State, host.Message))
	}
	if more := len(e.Hosts) - maxNamed; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// inspect asks every instance what it runs and compares that with what should run. It takes
// no lock and changes nothing.
func (r *run) inspect(ctx context.Context, account Account) error {
	if err := r.connect(ctx, account); err != nil {
		return err
	}
	ready, unready, err := r.services.Fleet.Find(ctx, r.plan.Targets)
	current, problem := r.services.Lease.ReadCurrent(ctx)
	if err := errors.Join(err, problem); err != nil {
		return err
	}
	r.result.Current = current
	for _, instance := range ready {
		r.result.Hosts = append(r.result.Hosts, &Host{Instance: instance, State: NotStarted})
	}
	if held := r.held(ctx); held != nil {
		r.console.Notice("A deploy is under way", "%v", held)
	}
	_ = r.ask(ctx, r.result.Hosts) // a host that cannot say is shown as such
	for _, host := range r.result.Hosts {
		r.judge(host)
	}
	for _, problem := range unready {
		r.result.Hosts = append(r.result.Hosts, &Host{Instance: problem.Instance, State: Unknown, Message: problem.Reason})
	}
	if n := len(r.result.Hosts); n < r.plan.MinInstances {
		return &TooFewError{Found: ready, Want: r.plan.MinInstances}
	}
	var off []*Host
	for _, host := range r.result.Hosts {
		r.console.Info("%s: %s: %s", host.Instance, host.State, host.Message)
		if host.State != InSync {
			off = append(off, host)
		}
	}
	err = r.output("instance-count", fmt.Sprint(len(r.result.Hosts)))
	if len(off) > 0 && r.plan.FailOnDrift {
		err = errors.Join(err, &DriftError{Hosts: off, Of: len(r.result.Hosts)})
	}
	return err
}

// judge compares a host that has answered with what should run.
func (r *run) judge(host *Host) {
	report, should := host.Report, r.result.Current
	if report == nil {
		host.State = Unknown
		return
	}
	drift := report.Drift
	if should.Version != "" && report.Version != should.Version {
		drift = append(drift, "version")
	} else if should.Digest != "" && report.Digest != should.Digest {
		drift = append(drift, "digest")
	}
	if report.Version != "" && !report.Verified {
		drift = append(drift, "unverified")
	}
	host.Drift, host.State, host.Message = drift, InSync, describeReport(report)
	if len(drift) > 0 {
		host.State = Drifted
		host.Message += "; differs in " + strings.Join(drift, ", ")
	}
	if should.Version != "" && report.Version != should.Version {
		host.Message += "; should run " + should.Version
	}
}

func describeReport(report *fleet.Report) string {
	if report.Version == "" {
		return "runs nothing"
	}
	text := "runs " + report.Version
	if report.Since > 0 {
		text += ", healthy since " + time.Unix(report.Since, 0).UTC().Format(time.RFC3339)
	}
	return text + ", unit " + or(report.Unit, "unknown")
}
