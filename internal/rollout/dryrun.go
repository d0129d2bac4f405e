package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/org/atta-deploy-action/internal/image"
)

// describePlan logs what the operation would do, and changes nothing.
func (r *run) describePlan(ctx context.Context) error {
	if err := r.artifacts.describeImage(ctx); err != nil {
		return err
	}
	r.artifacts.describeBundle()
	if err := r.artifacts.checkQuarantine(r.result.Image.Digest); err != nil || !r.plan.Phases.Rollout {
		return err
	}
	want := r.expectation()
	waves := splitIntoWaves(r.sortHosts(), r.plan.Rollout.Waves)
	numberWaves(waves)
	for i, wave := range waves {
		r.console.Info("wave %d of %d: %s", i+1, len(waves), Instances(len(wave)))
		for _, host := range wave {
			host.Message = "would go from " + cmp.Or(host.Before, "nothing") + " to " + r.plan.Release.Version.String()
			if want.isMetBy(host.Report) {
				host.Message = "runs " + r.plan.Release.Version.String() + " already: it would be checked, and deployed again if it is not healthy"
			}
			if r.missing[host.ID] {
				host.Message += ", which it does not hold yet"
			}
			r.console.Info("  %s %s", host.Instance, host.Message)
		}
	}
	return nil
}

func (a *artifacts) describeImage(ctx context.Context) error {
	if !a.plan.Phases.Image {
		return nil
	}
	digest, err := a.services.Repository.Resolve(ctx, a.plan.Release.ImageTag())
	switch {
	case err == nil:
		return errors.Join(a.checkQuarantine(digest), a.describePushed(ctx, digest))
	case errors.Is(err, image.ErrNotFound):
		a.console.Info("the image would be pushed as %s", a.plan.Release.ImageTag())
		err = nil
	}
	return err
}

// describePushed publishes the image that is in the registry as the version, if a run has
// recorded that it pushed it: only then is there no need to build it.
func (a *artifacts) describePushed(ctx context.Context, digest string) error {
	uri := a.services.Repository.URI(digest)
	a.console.Info("%s is in the registry: another image would be refused", uri)
	if a.plan.Bundle.Bucket == "" {
		a.console.Notice("Build the image", "without deploy-bucket, it is not known whether a run of this action has pushed %s", uri)
		return nil
	}
	recorded, err := a.services.Lease.ReadImage(ctx, a.plan.Release.Version.String())
	if err != nil {
		return err
	}
	if recorded.Digest != digest {
		a.console.Notice("Build the image", "no run of this action has recorded that it pushed %s", uri)
		return nil
	}
	if commit, version := recorded.Commit, a.plan.Release.Version.String(); commit != "" && a.plan.Commit != "" && commit != a.plan.Commit {
		if a.plan.Tag == version {
			return &MovedTagError{Version: version, Pushed: commit, Now: a.plan.Commit}
		}
		a.console.Notice("The image is of another commit", "a run of commit %.12s has pushed %s", commit, version)
	}
	return setOutputs(a.console, "image-uri", uri, "image-digest", digest, "image-pushed", "false")
}

func (a *artifacts) describeBundle() {
	switch {
	case !a.plan.Phases.Bundle:
	case a.stored.URI != "":
		a.console.Info("%s is already stored, with the same bytes", a.stored.URI)
	default:
		a.console.Info("the bundle would be written, sha256 %s", a.bundle.SHA256)
	}
}

// MovedTagError is returned if the image of a version was pushed for another commit than its tag names now.
type MovedTagError struct{ Version, Pushed, Now string }

func (e *MovedTagError) Error() string {
	return fmt.Sprintf("the tag %s names commit %.12s, and the image of that version was pushed for commit %.12s", e.Version, e.Now, e.Pushed)
}
