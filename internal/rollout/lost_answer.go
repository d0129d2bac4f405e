package rollout

import (
	"fmt"
	"strings"

	"github.com/org/atta-deploy-action/deploy"
)

// applyStatus sets the state of an unknown host by its answer to a status command that asks
// about the deployment.
func (h *Host) applyStatus(want expectation, report *deploy.Report) {
	defer h.noteProof()
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
		if h.Drift = driftOfRelease(report); report.Evidence != "" && want.contradictingEvidence(report) != "" {
			h.Drift = append(h.Drift, "container")
		}
		if problem := want.mismatch(report); problem != "" {
			h.Message = "asked again: " + problem
			return
		}
		if len(h.Drift) > 0 {
			h.Message = fmt.Sprintf("asked again: it has %s, and differs in %s", report.Version, strings.Join(h.Drift, ", "))
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
	h.Changed = changed || h.changedByEarlierRun(want)
}

// changedByEarlierRun reports whether a command of an earlier run, which was at work when this run began, has brought the
// release, so that it is undone with that of the other hosts.
func (h *Host) changedByEarlierRun(want expectation) bool {
	hadIt := h.Before == want.version && h.verified == want.digest
	return h.wasBusy && h.Before != "" && want.digest != "" && !hadIt
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
