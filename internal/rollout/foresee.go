package rollout

import (
	"context"
	"errors"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/image"
)

// foresee says what the operation would do, and does nothing.
func (r *run) foresee(ctx context.Context) error {
	problems := []error{r.foreseeImage(ctx), r.foreseeBundle(ctx)}
	if r.plan.Rollout {
		problems = append(problems, r.checkQuarantine())
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if !r.plan.Rollout {
		return nil
	}
	waves := cut(r.todo(), r.plan.Waves)
	for _, host := range r.result.Hosts {
		if host.State == Deployed {
			r.console.Info("%s runs %s already: it is left alone", host.Instance, r.plan.Release.Version)
		}
	}
	for i, wave := range waves {
		r.console.Info("wave %d of %d: %s", i+1, len(waves), Instances(len(wave)))
		for _, host := range wave {
			host.Message = "would go from " + or(host.Before, "nothing") + " to " + r.plan.Release.Version.String()
			if r.lacking[host.ID] {
				host.Message += ", which has to be brought there"
			}
			r.console.Info("  %s %s", host.Instance, host.Message)
		}
	}
	return nil
}

func (r *run) foreseeImage(ctx context.Context) error {
	if !r.plan.Image {
		return nil
	}
	digest, err := r.services.Repository.Resolve(ctx, r.plan.Release.ImageTag())
	switch {
	case err == nil:
		uri := r.services.Repository.URI(digest)
		r.console.Info("%s is in the registry: unless the image is the same, it would be refused", uri)
		err = r.output("image-uri", uri, "image-digest", digest, "image-pushed", "false")
	case errors.Is(err, image.ErrNotFound):
		r.console.Info("the image would be pushed as %s", r.plan.Release.ImageTag())
		err = nil
	}
	return err
}

func (r *run) foreseeBundle(ctx context.Context) error {
	if !r.plan.Bundle {
		return nil
	}
	stored, err := r.services.Bucket.Find(ctx, r.plan.Release.BundleKey(r.plan.BundlePrefix), r.packed.SHA256)
	switch {
	case err == nil:
		r.console.Info("%s is there already, with the same bytes", stored.URI)
	case errors.Is(err, bundle.ErrNotFound):
		r.console.Info("the bundle would be written, sha256 %s", r.packed.SHA256)
		err = nil
	}
	return err
}
