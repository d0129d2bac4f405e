package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
)

// QuarantineError says that an image must not be deployed.
type QuarantineError struct {
	lease.Quarantine
	Environment string
}

func (e *QuarantineError) Error() string {
	return fmt.Sprintf("this image is quarantined in %s: as %s it was found unhealthy at %s, by deployment %s; allow-quarantined is not set",
		e.Environment, e.Version, e.Since.UTC().Format(time.RFC3339), e.Deployment)
}

// checkQuarantine refuses an image that was found unhealthy on other instances: as soon as its
// digest is known, since a version that it gets is spent. A rollback is never refused: its target
// was seen healthy. Nor is a version that an instance has seen healthy with this image, which
// failed as another version then; what instances have seen is known after the preflight.
func (a *artifacts) checkQuarantine(digest string) error {
	found := a.result.Current.FindQuarantine(digest)
	if found == nil || a.plan.Rollout.Policy.AllowQuarantined || a.plan.Operation == Rollback {
		return nil
	}
	version := a.plan.Release.Version.String()
	if found.Version != version && a.plan.Phases.Rollout && (len(a.result.Hosts) == 0 || slices.ContainsFunc(a.result.Hosts, func(h *Host) bool {
		return h.Report != nil && h.Report.Proved && h.Report.Held == version && h.Report.Image == found.Digest
	})) {
		return nil
	}
	return &QuarantineError{*found, a.plan.Release.Environment}
}

// warnAboutRisks warns that a deploy does what is refused unless an input allows it.
func (r *run) warnAboutRisks() {
	if r.plan.Operation != Deploy {
		return
	}
	if found := r.result.Current.FindQuarantine(r.result.Image.Digest); found != nil && r.plan.Rollout.Policy.AllowQuarantined {
		r.console.Warning("A quarantined image is deployed", "as %s it was found unhealthy at %s, and allow-quarantined is set: %s",
			found.Version, found.Since.UTC().Format(time.RFC3339), unhealthyPage)
	}
	if newest, err := release.ParseVersion(newestVersion(r.result.Hosts)); err == nil && newest.Compare(r.plan.Release.Version) > 0 {
		r.console.Warning("A newer version is replaced", "%s runs, and allow-downgrade is set: %s", newest, versionsPage)
	}
}
