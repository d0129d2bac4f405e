package rollout

import (
	"context"
	"errors"
	"fmt"

	"github.com/org/atta-deploy-action/internal/fleet"
)

// Host is one instance in a deploy.
type Host struct {
	fleet.Instance
	State   State
	Before  string        // the version it ran before; empty: none
	Message string        // in words, what became of it
	Report  *fleet.Report // its own last word; nil: none
	Log     string        // the end of its log, foreign text; empty when all went well
}

// State is what is known of a host after the run.
type State string

// The states of a host. Only Deployed means that the host itself has proved that
// it runs what was asked for.
const (
	Waiting        State = "waiting"         // not reached by this run
	Deployed       State = "deployed"        // runs the new release, by its own report
	NotDeployed    State = "not-deployed"    // refused, or never got, the command; runs what it ran before
	RolledBack     State = "rolled-back"     // tried, and went back by itself
	RollbackFailed State = "rollback-failed" // tried, and could not go back
	Unknown        State = "unknown"         // nobody has said
)

// Status is the outcome of a run.
type Status string

// The outcomes of a run.
const (
	Success       Status = "success"
	Failed        Status = "failed"
	AllRolledBack Status = "rolled-back"
	BackFailed    Status = "rollback-failed"
	NotKnown      Status = "unknown"
	Cancelled     Status = "cancelled"
)

// Runs is the version that is known to be installed now; empty when it is none, or
// not known.
func (h Host) Runs() string {
	switch {
	case h.Report != nil && h.Report.Version != "":
		return h.Report.Version
	case h.State == Waiting || h.State == NotDeployed:
		return h.Before
	}
	return ""
}

// settle says what became of a host that was asked to run image digest of the
// plan's version. Whatever is not proved is not deployed.
func (h *Host) settle(plan Plan, digest string, answer fleet.Result) {
	h.Log, h.Report, h.Message = answer.Log, answer.Report, answer.Reason
	switch answer.Outcome {
	case fleet.NotRun:
		h.State = NotDeployed
		return
	case fleet.Unknown:
		h.State = Unknown
		return
	}
	report := answer.Report
	h.Message = report.Message
	if report.Deployment != plan.DeploymentID || report.Service != plan.Release.Service {
		h.State, h.Message = Unknown, fmt.Sprintf("the answer is about deployment %s of %s", report.Deployment, report.Service)
		return
	}
	switch report.Outcome {
	case "deployed", "unchanged":
		if problem := unproved(plan, digest, answer); problem != "" {
			h.State, h.Message = Unknown, problem
			return
		}
		h.State = Deployed
	case "refused":
		h.State = NotDeployed
	case "rolled-back":
		h.State = RolledBack
	case "rollback-failed":
		h.State = RollbackFailed
	default:
		h.State, h.Message = Unknown, fmt.Sprintf("the host answers %q: %s", report.Outcome, report.Message)
	}
}

// unproved says what is missing in a report that claims success.
func unproved(plan Plan, digest string, answer fleet.Result) string {
	want, report := plan.Release.Version.String(), answer.Report
	switch {
	case answer.Status != "Success":
		return fmt.Sprintf("the host claims success and its command ended as %s", answer.Status)
	case report.Code != 0:
		return fmt.Sprintf("the host claims success with exit code %d", report.Code)
	case report.Version != want:
		return fmt.Sprintf("the host claims success and runs version %q, not %s", report.Version, want)
	case report.Digest != digest:
		return fmt.Sprintf("the host claims success and runs image %q, not %s", report.Digest, digest)
	case !report.Verified:
		return "the host claims success and has not seen the release healthy"
	}
	return ""
}

// status sums up the hosts after the rollout, the most urgent first.
func status(ctx context.Context, hosts []Host, err error) Status {
	count := map[State]int{}
	for _, host := range hosts {
		count[host.State]++
	}
	switch {
	case err == nil && count[Deployed] == len(hosts):
		return Success
	case count[RollbackFailed] > 0:
		return BackFailed
	case errors.Is(ctx.Err(), context.Canceled):
		return Cancelled
	case count[Unknown] > 0:
		return NotKnown
	case count[Deployed] == 0 && count[RolledBack] > 0:
		return AllRolledBack
	}
	return Failed
}
