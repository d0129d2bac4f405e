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
	"github.com/org/atta-deploy-action/internal/fleet"
)

// Host is one instance in a run.
type Host struct {
	fleet.Instance
	State   State
	Wave    int            // from 1; 0: in none
	Changed bool           // this run has made it run something else
	Before  string         // the version it ran before; empty: none
	Message string         // the result in words
	Report  *deploy.Report // its own latest; nil: none
	Status  fleet.Status   // of its latest command, in SSM
	Drift   []string       // in a status, how it differs from what it should be
	Log     string         // the end of its log, untrusted text; empty when all went well

	CommandID   string    // of its latest command that may have changed something; empty: none
	Sent, Ended time.Time // of that command; zero: not known

	seen     time.Time // when it has last answered, to whichever command
	verified string    // the digest of the release that was verified there when the run began; empty: none
	wasDown  bool      // its release did not run when the run began
	wasBusy  bool      // a deploy was at work or cut off there, so Before need not be what this run replaces
	stale    bool      // it does not answer, or not since its report, or a deploy is at work there
	answered bool      // it, or SSM for it, has reported that the command ran
	proved   bool      // it was seen to have what the run was to bring to it
	resolved bool      // asking again would reveal nothing more
}

// State is what is known of a host after the run.
type State string

// The states of a host. Only Deployed means that the release was seen to run or to succeed
// there; InSync and Busy are those of a status.
const (
	NotStarted     State = "not-started"     // not reached by this run
	Deployed       State = "deployed"        // runs the release: it was seen to run, or to succeed
	Running        State = "running"         // its job has the release and had not ended within health-timeout
	Installed      State = "installed"       // has the release, a job that was not run yet (run-on-deploy: false)
	NotDeployed    State = "not-deployed"    // refused or never received the command; runs what it ran before
	RolledBack     State = "rolled-back"     // tried, and rolled back, on its own or told by this run
	RollbackFailed State = "rollback-failed" // tried, and could not roll back
	Unknown        State = "unknown"         // no answer
	InSync         State = "in-sync"         // runs what should run, as it was installed
	Drifted        State = "drifted"         // does not; in a deploy, after it was deployed
	Busy           State = "busy"            // a deploy is at work there
)

// hasRelease reports whether a host has got what the run was to bring to it.
func (h *Host) hasRelease() bool {
	return h.State == Deployed || h.State == Running || h.State == Installed
}

// triedRelease reports whether a host has started the release, and does not run it for a reason that others may have
// as well.
func (h *Host) triedRelease() bool {
	ofThisHost := h.Report != nil && slices.Contains([]deploy.Reason{deploy.ReasonCutOff, deploy.ReasonStopped, deploy.ReasonScriptFailed}, h.Report.Reason)
	switch h.State {
	case RolledBack:
		return !ofThisHost
	case RollbackFailed: // one that was new had nothing to lose
		return !ofThisHost || h.Before != ""
	case Drifted:
		return true
	}
	// An engine that does not answer says nothing about the release.
	return h.State == Unknown && slices.ContainsFunc(h.Drift, func(word string) bool { return word != "engine" && word != "image" })
}

// noteProof remembers that a host has got what the run was to bring to it.
func (h *Host) noteProof() { h.proved = h.proved || h.hasRelease() }

// Runs is the version that is known to be installed now; empty when it is none, or not
// known.
func (h *Host) Runs() string {
	switch {
	case h.stale:
		return ""
	case h.Report != nil && h.Report.Version != "":
		return h.Report.Version
	case h.State == NotStarted || h.State == NotDeployed:
		return h.Before
	}
	return ""
}

// IsSilent reports whether nobody knows what it runs now, since it does not answer.
func (h *Host) IsSilent() bool { return h.stale || h.State == Unknown && h.Report == nil }

// runsOrNothing names the installed version for a message.
func runsOrNothing(report *deploy.Report) string { return cmp.Or(report.Version, "nothing") }

// hasNothingToLose reports whether a host's release was never seen healthy, has failed, or
// is not installed.
func (h *Host) hasNothingToLose() bool {
	return h.Report == nil || !h.Report.Verified || h.Report.Unit == unitFailed || len(h.Report.Drift) > 0
}

// systemd's ActiveState of a unit that has failed, or that is down.
const (
	unitFailed   = "failed"
	unitInactive = "inactive"
)

// answer is one instance's result with its report.
type answer struct {
	fleet.Result
	report *deploy.Report // nil: none
	log    string         // the end of its log, untrusted text; empty when all went well
}

// readAnswer parses the report of a result. Only a report counts as proof: a command can be
// Success without having done anything.
func readAnswer(result fleet.Result) answer {
	report, err := deploy.ParseReport(result.Stdout)
	a := answer{Result: result, report: report, log: cmp.Or(deploy.LogEnd(result.Stdout), result.Stderr)}
	if err != nil && result.Outcome == fleet.Completed {
		a.Outcome, a.Reason = fleet.Unknown, fmt.Sprintf("the command ended as %s with exit code %d and %v%s", result.Status, result.ExitCode, err, lastWords(result.Stderr))
	}
	return a
}

// lastWords is the last line that a script has logged, which mostly says why it ended early. The
// agent appends another.
func lastWords(log string) string {
	for _, line := range slices.Backward(strings.Split(log, "\n")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "failed to run commands: ") {
			return "; its last line is: " + deploy.BoundMessage(line)
		}
	}
	return ""
}

// applyAnswer sets the state of a host that was asked to run something. Whatever is not
// proved is not deployed.
func (h *Host) applyAnswer(want expectation, a answer) {
	defer h.noteProof()
	h.Log, h.Report, h.Message, h.Status = a.log, a.report, a.Reason, a.Status
	h.CommandID, h.Sent, h.Ended, h.seen = a.CommandID, a.Sent, a.Ended, a.Ended
	h.answered, h.resolved, h.stale = a.report != nil || !a.Status.IsOpen() && !a.Status.IsUndelivered(), false, false
	switch a.Outcome {
	case fleet.NotDelivered:
		h.State = NotDeployed
		return
	case fleet.Unknown:
		h.State = Unknown
		return
	}
	report := a.report
	h.Message = report.Message
	if report.Deployment != want.deployment || report.Service != want.service {
		h.State, h.Message = Unknown, fmt.Sprintf("the answer is about deployment %s of %s", report.Deployment, report.Service)
		return
	}
	switch report.Outcome {
	case deploy.OutcomeDeployed, deploy.OutcomeUnchanged:
		if problem := want.unprovedReason(a); problem != "" {
			h.State, h.Message = Unknown, problem
			return
		}
		h.State, h.Changed = stateOf(report), report.Outcome == deploy.OutcomeDeployed
		if h.Changed && want.version != "" && (report.Before != "" || h.wasBusy) {
			h.Before = report.Before
		}
		h.Changed = h.Changed || h.changedByEarlierRun(want)
	case deploy.OutcomeRefused:
		h.State = NotDeployed
	case deploy.OutcomeRolledBack:
		h.State = RolledBack
	case deploy.OutcomeRollbackFailed:
		h.State = RollbackFailed
	default:
		h.State, h.Message = Unknown, fmt.Sprintf("the host answers %q: %s", report.Outcome, report.Message)
	}
}

// stateOf is the state of a host that has a release, without contradiction. A job that is not
// run now was seen to succeed before, or not yet.
func stateOf(report *deploy.Report) State {
	switch {
	case report.Evidence == deploy.EvidenceAtWork:
		return Running
	case !report.Verified:
		return Installed
	}
	return Deployed
}

// fleetOutcome sums up the hosts after the rollout, the most urgent first.
func fleetOutcome(ctx context.Context, hosts []*Host, err error) Outcome {
	count, done := map[State]int{}, 0
	for _, host := range hosts {
		count[host.State]++
		if host.hasRelease() {
			done++
		}
	}
	switch {
	case err == nil && done == len(hosts):
		return OutcomeSuccess
	case count[RollbackFailed] > 0:
		return OutcomeRollbackFailed
	case errors.Is(ctx.Err(), context.Canceled):
		return OutcomeCancelled
	case count[Unknown] > 0:
		return OutcomeUnknown
	case done == 0 && count[RolledBack] > 0:
		return OutcomeRolledBack
	}
	return OutcomeFailed
}

// hostsIn returns the hosts in a state.
func hostsIn(hosts []*Host, state State) []*Host {
	return slices.DeleteFunc(slices.Clone(hosts), func(h *Host) bool { return h.State != state })
}

func instancesOf(hosts []*Host) []fleet.Instance {
	list := make([]fleet.Instance, len(hosts))
	for i, host := range hosts {
		list[i] = host.Instance
	}
	return list
}
