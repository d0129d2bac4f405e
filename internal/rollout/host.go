package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/org/atta-deploy-action/internal/fleet"
)

// Host is one instance in a deploy.
type Host struct {
	fleet.Instance
	State   State
	Wave    int           // it is in, from 1; 0: none
	Changed bool          // this run has made it run something else
	Before  string        // the version it ran before; empty: none
	Message string        // in words, what became of it
	Report  *fleet.Report // its own last word; nil: none
	Drift   []string      // in a status, in what it is not as it should be
	Log     string        // the end of its log, foreign text; empty when all went well

	claimed bool // it, or SSM for it, has said that the command ran
	final   bool // asking again would tell no more
}

// State is what is known of a host after the run.
type State string

// The states of a host. Only Deployed means that the host itself has proved that
// it runs what was asked for; AsMeant and Drifted are those of a status.
const (
	NotStarted     State = "not-started"     // not reached by this run
	Deployed       State = "deployed"        // runs the new release, by its own report
	NotDeployed    State = "not-deployed"    // refused, or never got, the command; runs what it ran before
	RolledBack     State = "rolled-back"     // tried, and went back, by itself or told by this run
	RollbackFailed State = "rollback-failed" // tried, and could not go back
	Unknown        State = "unknown"         // nobody has said
	InSync         State = "in-sync"         // runs what should run, as it was installed
	Drifted        State = "drifted"         // does not
)

// Outcome is that of a run.
type Outcome string

// The outcomes of a run.
const (
	OutcomeSuccess        Outcome = "success"
	OutcomeFailed         Outcome = "failed"
	OutcomeRolledBack     Outcome = "rolled-back"
	OutcomeRollbackFailed Outcome = "rollback-failed"
	OutcomeUnknown        Outcome = "unknown"
	OutcomeCancelled      Outcome = "cancelled"
	OutcomePlanned        Outcome = "planned"
	OutcomeRunning        Outcome = "running" // in the history, of a run that has not said how it ended
)

// Runs is the version that is known to be installed now; empty when it is none, or
// not known.
func (h *Host) Runs() string {
	switch {
	case h.Report != nil && h.Report.Version != "":
		return h.Report.Version
	case h.State == NotStarted || h.State == NotDeployed:
		return h.Before
	}
	return ""
}

// want is what a host is asked to run.
type want struct {
	deployment string // the id that its answer has to carry
	service    string
	version    string // empty: the one it was seen healthy with before
	digest     string // empty: that of the version, as the host has it
}

// settle says what became of a host that was asked to run something. Whatever is not
// proved is not deployed.
func (h *Host) settle(w want, answer fleet.Result) {
	h.Log, h.Report, h.Message = answer.Log, answer.Report, answer.Reason
	h.claimed, h.final = answer.Report != nil || !inDoubt(answer.Status), false
	switch answer.Outcome {
	case fleet.NotDelivered:
		h.State = NotDeployed
		return
	case fleet.Unknown:
		h.State = Unknown
		return
	}
	report := answer.Report
	h.Message = report.Message
	if report.Deployment != w.deployment || report.Service != w.service {
		h.State, h.Message = Unknown, fmt.Sprintf("the answer is about deployment %s of %s", report.Deployment, report.Service)
		return
	}
	switch report.Outcome {
	case "deployed", "unchanged":
		if problem := w.unproved(answer); problem != "" {
			h.State, h.Message = Unknown, problem
			return
		}
		h.State, h.Changed = Deployed, report.Outcome == "deployed"
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

// inDoubt tells whether a status of SSM leaves it open that a command has run to its end.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
func inDoubt(status string) bool {
	switch strings.ReplaceAll(status, " ", "") {
	case "NotSent", "Pending", "InProgress", "Delayed", "DeliveryTimedOut", "ExecutionTimedOut", "Cancelling", "Cancelled":
		return true
	}
	return false
}

// unproved says what is missing in an answer that claims success.
func (w want) unproved(answer fleet.Result) string {
	report := answer.Report
	switch {
	case answer.Status != "Success":
		return fmt.Sprintf("the host claims success and its command ended as %s", answer.Status)
	case report.Code != 0:
		return fmt.Sprintf("the host claims success with exit code %d", report.Code)
	}
	return w.missing(report)
}

// missing says in what a host differs from what is wanted; nothing when it is proved.
func (w want) missing(report *fleet.Report) string {
	switch {
	case w.version != "" && report.Version != w.version:
		return fmt.Sprintf("the host claims success and runs version %q, not %s", report.Version, w.version)
	case report.Version == "" || report.Digest == "":
		return fmt.Sprintf("the host claims success and runs image %q of version %q", report.Digest, report.Version)
	case w.digest != "" && report.Digest != w.digest:
		return fmt.Sprintf("the host claims success and runs image %q, not %s", report.Digest, w.digest)
	case !report.Verified:
		return "the host claims success and has not seen the release healthy"
	}
	return ""
}

// runs tells whether a host that was only asked is in the state that is wanted, with
// nothing about it to mend.
func (w want) runs(report *fleet.Report) bool {
	return report != nil && report.Version == w.version && w.missing(report) == "" && len(report.Drift) == 0 && report.Unit != "failed"
}

// unwell tells whether a host has nothing to lose: what it runs was never seen healthy, has
// failed, or is not there.
func (h *Host) unwell() bool {
	return h.Report == nil || !h.Report.Verified || h.Report.Unit == "failed" || len(h.Report.Drift) > 0
}

// outcome sums up the hosts after the rollout, the most urgent first.
func outcome(ctx context.Context, hosts []*Host, err error) Outcome {
	count := map[State]int{}
	for _, host := range hosts {
		count[host.State]++
	}
	switch {
	case err == nil && count[Deployed] == len(hosts):
		return OutcomeSuccess
	case count[RollbackFailed] > 0:
		return OutcomeRollbackFailed
	case errors.Is(ctx.Err(), context.Canceled):
		return OutcomeCancelled
	case count[Unknown] > 0:
		return OutcomeUnknown
	case count[Deployed] == 0 && count[RolledBack] > 0:
		return OutcomeRolledBack
	}
	return OutcomeFailed
}
