package rollout

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/image"
)

// progressEvery is how often a long push says how far it is.
const progressEvery = 5 * time.Second

func (r *run) push(ctx context.Context) error {
	began := time.Now()
	last := began
	pushed, err := r.services.Repository.Push(ctx, r.source, r.plan.Release.ImageTag(), image.How{
		Compression: r.plan.Compression, Near: r.near(),
		Progress: func(m image.Moved) {
			if time.Since(last) < progressEvery {
				return
			}
			last = time.Now()
			rate := float64(m.Sent>>20) / time.Since(began).Seconds()
			r.console.Info("%d of %d MB read, %d MB sent, %.0f MB/s, %d layers there before", m.Done>>20, m.Total>>20, m.Sent>>20, rate, m.Reused)
		},
	})
	if err != nil {
		return err
	}
	r.result.Image = pushed
	if pushed.Created {
		r.console.Notice("Repository created", "ECR had no %s", strings.TrimSuffix(pushed.URI, "@"+pushed.Digest))
	}
	if pushed.Uploaded {
		r.console.Info("pushed %s as %s: %d MB sent in %.1f s, %d layers there before", pushed.URI, pushed.Tag, pushed.Bytes>>20, time.Since(began).Seconds(), pushed.Reused)
	} else {
		r.console.Info("%s is there already as %s; nothing to send", pushed.URI, pushed.Tag)
	}
	return r.output("image-uri", pushed.URI, "image-digest", pushed.Digest, "image-pushed", strconv.FormatBool(pushed.Uploaded))
}

// near lists tags of images that the new one may share layers with: what runs, what ran before, and what was to run and
// was found unhealthy last, which is what the new one mends.
func (r *run) near() []string {
	current := r.result.Current
	tags := append(slices.Clone(r.plan.ImageTags), current.Version, current.Before)
	if n := len(current.Quarantined); n > 0 {
		tags = append(tags, current.Quarantined[n-1].Version)
	}
	var near []string
	for _, tag := range tags {
		if tag != "" && tag != r.plan.Release.ImageTag() && !slices.Contains(near, tag) {
			near = append(near, tag)
		}
	}
	return near
}

func (r *run) upload(ctx context.Context) error {
	stored, err := r.services.Bucket.Put(ctx, r.plan.Release.BundleKey(r.plan.BundlePrefix), r.packed)
	if err != nil {
		return err
	}
	r.result.Bundle = stored
	verb := "wrote"
	if stored.Reused {
		verb = "the same bytes are there already:"
	}
	r.console.Info("%s %s, sha256 %s", verb, stored.URI, stored.SHA256)
	return r.output("bundle-uri", stored.URI, "bundle-sha256", stored.SHA256)
}

// moveTags comes last, so that latest-<environment> always names an image that was
// seen healthy on every instance.
func (r *run) moveTags(ctx context.Context) error {
	if err := r.services.Repository.Tag(ctx, r.result.Image.Digest, r.plan.ImageTags...); err != nil {
		return fmt.Errorf("every instance runs %s, but moving the image's tags went wrong: %w", r.plan.Release.Version, err)
	}
	for _, tag := range r.plan.ImageTags {
		r.console.Info("%s now names %s", tag, r.result.Image.Digest)
	}
	return nil
}
