package clients

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/action"
	"github.com/org/atta-deploy-action/internal/ledger"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// Workflow says who started the run, as far as that is known.
type Workflow interface {
	Repository() string
	RunURL() string
	Actor() string
}

// Plan is what the inputs ask for, as one deployment that starts now.
func Plan(in action.Inputs, by Workflow) rollout.Plan {
	now := time.Now()
	rel := in.What.Release
	id := now.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:8])
	return rollout.Plan{
		Release:        rel,
		DeploymentID:   id,
		Holder:         ledger.Holder{Deployment: id, Version: rel.Version.String(), Repository: by.Repository(), RunURL: by.RunURL(), Actor: by.Actor()},
		LockTimeout:    in.Time.Lock,
		Region:         in.Identity.Region,
		Image:          in.What.Phases.Image,
		Bundle:         in.What.Phases.Bundle,
		Rollout:        in.What.Phases.Rollout,
		ImageDigest:    in.Image.Digest,
		ImageTags:      in.Image.Tags,
		BundlePath:     in.Bundle.Path,
		Mode:           in.Bundle.Mode,
		BundleKey:      rel.BundleKey(in.Bundle.Prefix),
		BundleSHA256:   in.Bundle.SHA256,
		InstanceIDs:    in.Targets.InstanceIDs,
		Policy:         rollout.Policy(in.Rollout),
		CommandTimeout: in.Time.Command,
		Deadline:       now.Add(in.Time.Run),
	}
}
