package clients

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// Workflow says who started the run, as far as that is known.
type Workflow interface {
	Repository() string
	RunURL() string
	Actor() string
	State(name string) string
}

// Plan is what the inputs ask for, as one deployment that starts now; in the step after it,
// it is to tidy up what that deployment has left.
func Plan(in inputs.Inputs, by Workflow, post bool) rollout.Plan {
	now := time.Now()
	rel := in.What.Release
	id := now.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:8])
	plan := rollout.Plan{
		Operation:         rollout.Operation(in.What.Operation),
		DryRun:            in.What.DryRun,
		Release:           rel,
		DeploymentID:      id,
		Holder:            lease.Holder{Deployment: id, Version: rel.Version.String(), Repository: by.Repository(), RunURL: by.RunURL(), Actor: by.Actor()},
		LockTimeout:       in.Time.Lock,
		Region:            in.Identity.Region,
		Image:             in.What.Phases.Image,
		Source:            in.Image.Source,
		Bundle:            in.What.Phases.Bundle,
		Rollout:           in.What.Phases.Rollout,
		ImageDigest:       in.Image.Digest,
		ImageTags:         in.Image.Tags,
		Compression:       image.Compression(in.Image.Compression),
		BundlePath:        in.Bundle.Path,
		Mode:              in.Bundle.Mode,
		BundlePrefix:      in.Bundle.Prefix,
		BundleSHA256:      in.Bundle.SHA256,
		Targets:           fleet.Targets{InstanceIDs: in.Targets.InstanceIDs},
		MinInstances:      in.Targets.MinInstances,
		RollbackOnFailure: in.Rollout.RollbackOnFailure,
		FailOnDrift:       in.Reporting.FailOnDrift,
		Policy:            rollout.Policy(in.Rollout.Policy),
		CommandTimeout:    in.Time.Command,
		Deadline:          now.Add(in.Time.Run),
	}
	for _, tag := range in.Targets.Tags {
		plan.Targets.Tags = append(plan.Targets.Tags, fleet.Tag(tag))
	}
	for _, wave := range in.Rollout.Waves {
		plan.Waves = append(plan.Waves, rollout.Wave(wave))
	}
	if post {
		plan.Operation = rollout.CleanUp
		plan.Leftover = rollout.Leftover{
			Deployment: by.State("deployment"), Lock: by.State("lock"), Finished: by.State("finished") == "true",
			Commands: strings.FieldsFunc(by.State("commands"), func(c rune) bool { return c == ',' }),
		}
	}
	return plan
}
