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

// triedRelease reports whether a host has started the release, and does not run it.
func (h *Host) triedRelease() bool {
	switch h.State {
	case RolledBack, RollbackFailed, Drifted:
		return true
	}
	return h.State == Unknown && len(h.Drift) > 0
}

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
		h.Changed = h.Changed || h.changedByEarlierRun(want.digest)
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

// applyStatus sets the state of an unknown host by its answer to a status command that asks
// about the deployment.
func (h *Host) applyStatus(want expectation, report *deploy.Report) {
	h.Report, h.stale = report, report.Busy
	outcome, code, _ := strings.Cut(report.About, ":")
	if outcome == string(deploy.OutcomeRolledBack) && code == fmt.Sprint(deploy.ExitUnhealthy) {
		report.Reason = deploy.ReasonUnhealthy
	}
	if report.Busy && outcome != report.About && outcome != string(deploy.OutcomeRefused) { // that one has ended
		h.Message = "another deploy is at work there"
		return
	}
	switch deploy.Outcome(outcome) {
	case deploy.OutcomeDeployed, deploy.OutcomeUnchanged:
		if h.Before != "" && want.version != "" && report.Version == h.Before && report.Version != want.version {
			h.setRolledBack("it was rolled back since")
			return
		}
		h.setChanged(want, report, deploy.Outcome(outcome) == deploy.OutcomeDeployed)
		if problem := want.mismatch(report); problem != "" {
			h.Message = "asked again: " + problem
			return
		}
		if drift := driftOfRelease(report); len(drift) > 0 {
			h.Drift = drift
			h.Message = fmt.Sprintf("asked again: it has %s, and differs in %s", report.Version, strings.Join(drift, ", "))
			return
		}
		h.State, h.Message = stateOf(report), "its answer was lost; asked again, it runs "+report.Version
	case deploy.OutcomeRefused:
		h.State, h.Message = NotDeployed, "its answer was lost; asked again, it reports that it refused, and runs "+runsOrNothing(report)
	case deploy.OutcomeRolledBack:
		h.setRolledBack("its answer was lost; asked again, it reports that it rolled back")
	case deploy.OutcomeRollbackFailed:
		h.State, h.Message = RollbackFailed, "its answer was lost; asked again, it reports that it could not roll back"
	case deploy.AboutBegun:
		h.State, h.Message = NotDeployed, "the command reached it and ended before it changed anything; it runs "+runsOrNothing(report)
		if h.Status != "" { // the post step has none
			h.Message = strings.Replace(h.Message, "the command", fmt.Sprintf("the command (%s in SSM)", h.Status), 1)
		}
	case deploy.AboutNone:
		if h.answered { // two answers that cannot both be true
			h.resolved, h.Message = true, h.Message+"; asked again, it knows nothing of the deployment, and runs "+runsOrNothing(report)
			return
		}
		h.State, h.Message = NotDeployed, "the command never reached it and would be refused now; it runs "+runsOrNothing(report)
	case deploy.AboutUnderWay:
		h.Message = "its deploy is still under way"
	case deploy.AboutCutOff:
		h.resolved, h.Message = true, "its deploy was cut off, and nobody on it waits to roll it back: the next deploy does, or its next boot"
	default:
		h.Message = fmt.Sprintf("asked again, it answers %q", report.About)
	}
}

// setChanged records whether the deployment that a host reports later has changed what it runs, and so may be undone.
func (h *Host) setChanged(want expectation, report *deploy.Report, changed bool) {
	if changed && want.version != "" && h.wasBusy {
		h.Before = report.Previous
	}
	h.Changed = changed || h.changedByEarlierRun(want.digest)
}

// changedByEarlierRun reports whether a command of an earlier run, which was at work when this run began, has brought the
// image, so that it is undone with that of the other hosts.
func (h *Host) changedByEarlierRun(digest string) bool {
	return h.wasBusy && h.Before != "" && digest != "" && h.verified != digest
}

// setRolledBack sets the state of a host that has rolled back, by its own later report: what is not up again is
// unknown, unless it was down before.
func (h *Host) setRolledBack(how string) {
	drift := driftOfRelease(h.Report)
	switch version := runsOrNothing(h.Report); {
	case len(drift) == 0:
		h.State, h.Message = RolledBack, how+", and runs "+version
	case h.wasDown && h.Report.Version == h.Before:
		h.State, h.Message = RolledBack, how+", and has "+version+", which was down before"
	default:
		h.Message = how + ", has " + version + ", and differs in " + strings.Join(drift, ", ")
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
