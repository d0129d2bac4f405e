package rollout

import (
	"fmt"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
)

// expectation is what a host is asked to run, and has to prove.
type expectation struct {
	deployment string // the id that its answer has to carry
	service    string
	version    string // empty: its previous verified release
	digest     string // empty: that of the version, as the host holds it
	mustRun    bool   // it is not enough to have installed a job
}

// unprovedReason is what an answer that claims success lacks; empty when it is proved.
func (want expectation) unprovedReason(a answer) string {
	switch {
	case a.Status != fleet.StatusSuccess:
		return fmt.Sprintf("the host claims success and its command ended as %s", a.Status)
	case a.report.Code != deploy.ExitOK:
		return fmt.Sprintf("the host claims success with exit code %d", a.report.Code)
	}
	return want.mismatch(a.report)
}

// mismatch is how a host differs from what is wanted; empty when it does not.
func (want expectation) mismatch(report *deploy.Report) string {
	switch {
	case want.version != "" && report.Version != want.version:
		return fmt.Sprintf("the host claims success and runs version %q, not %s", report.Version, want.version)
	case report.Version == "" || report.Digest == "":
		return fmt.Sprintf("the host claims success and runs image %q of version %q", report.Digest, report.Version)
	case want.digest != "" && report.Digest != want.digest:
		return fmt.Sprintf("the host claims success and runs image %q, not %s", report.Digest, want.digest)
	}
	return want.contradictingEvidence(report)
}

// contradictingEvidence is what speaks against a host's claim that it has the release it names; empty
// when nothing does. A timer may have begun the next run since a run succeeded.
func (want expectation) contradictingEvidence(report *deploy.Report) string {
	switch report.Evidence {
	case deploy.EvidenceRunning, deploy.EvidenceAtWork:
		if report.Unit == unitFailed || report.Unit == unitInactive && report.Evidence == deploy.EvidenceRunning {
			return "the host claims success, and its unit is " + report.Unit
		}
	case deploy.EvidenceSucceeded, deploy.EvidenceNotRun:
	default:
		return fmt.Sprintf("the host claims success, and its container shows %q", report.Evidence)
	}
	switch {
	case report.Verified || report.Evidence == deploy.EvidenceAtWork:
	case report.Evidence != deploy.EvidenceNotRun:
		return "the host claims success and has not verified the release"
	case want.mustRun:
		return "the host claims success, and no run of the release is to be seen"
	}
	return ""
}

// isMetBy reports whether a host that was only asked for its status seems to run what is wanted, with
// nothing to repair. Only its answer to a deploy proves that.
func (want expectation) isMetBy(report *deploy.Report) bool {
	return report != nil && report.Version == want.version && want.mismatch(report) == "" && report.Verified && !report.Busy &&
		len(report.Drift) == 0 && report.Unit != unitFailed
}
