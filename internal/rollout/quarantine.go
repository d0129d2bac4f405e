package rollout

import (
	"fmt"
	"time"

	"github.com/org/atta-deploy-action/internal/lease"
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
// was seen healthy.
func (a *artifacts) checkQuarantine(digest string) error {
	found := a.result.Current.FindQuarantine(digest)
	if found == nil || a.plan.Rollout.Policy.AllowQuarantined || a.plan.Operation == Rollback {
		return nil
	}
	return &QuarantineError{*found, a.plan.Release.Environment}
}
