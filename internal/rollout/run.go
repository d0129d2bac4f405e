package rollout

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/ledger"
)

// run is one deploy under way.
type run struct {
	plan     Plan
	console  Console
	services Services
	source   *image.Source // nil without the image phase
	packed   bundle.Bundle // empty without the bundle phase
	lock     *ledger.Lock  // nil until it is held, and without the rollout phase
	result   Result
}

// Deploy carries out the plan: read, preflight, image, bundle, rollout, tags. An
// error in one phase ends the run before the next. The result tells how far it got,
// also when there is an error.
func Deploy(ctx context.Context, plan Plan, account Account, console Console) (Result, error) {
	started := time.Now()
	r := &run{plan: plan, console: console, result: Result{Plan: plan}}
	err := r.phases(ctx, account)
	if r.source != nil {
		err = errors.Join(err, r.source.Close())
	}
	r.result.Status = status(ctx, r.result.Hosts, err)
	r.result.Elapsed = time.Since(started)
	r.close(ctx)
	return r.result, err
}

func (r *run) phases(ctx context.Context, account Account) error {
	phases := []struct {
		wanted bool
		title  string
		do     func(context.Context) error
	}{
		{true, "Read", func(ctx context.Context) error { return r.read(ctx, account) }},
		{true, "Preflight", func(ctx context.Context) error { return r.preflight(ctx, account) }},
		{r.plan.Image, "Push image", r.push},
		{r.plan.Bundle, "Upload bundle", r.upload},
		{r.plan.Rollout, "Roll out", r.rollOut},
		{r.plan.Rollout && len(r.plan.ImageTags) > 0, "Move tags", r.moveTags},
	}
	for _, phase := range phases {
		if !phase.wanted {
			continue
		}
		if err := r.console.Group(phase.title, func() error { return phase.do(r.guarded(ctx)) }); err != nil {
			return err
		}
	}
	return nil
}

// guarded ends with the lock, too: a run that loses it goes no further.
func (r *run) guarded(ctx context.Context) context.Context {
	if r.lock == nil {
		return ctx
	}
	return r.lock.Context(ctx)
}

// output hands on several values at once, as name, value, name, value.
func (r *run) output(pairs ...string) error {
	var problems []error
	for i := 0; i < len(pairs); i += 2 {
		problems = append(problems, r.console.Output(pairs[i], pairs[i+1]))
	}
	return errors.Join(problems...)
}

// progressEvery is how often a long push says how far it is.
const progressEvery = 5 * time.Second

func (r *run) push(ctx context.Context) error {
	last := time.Now()
	pushed, err := r.services.Repository.Push(ctx, r.source, r.plan.Release.ImageTag(), func(done, total int64) {
		if time.Since(last) >= progressEvery {
			last = time.Now()
			r.console.Info("%d of %d MB", done>>20, total>>20)
		}
	})
	if err != nil {
		return err
	}
	r.result.Image = pushed
	if pushed.Uploaded {
		r.console.Info("pushed %s as %s", pushed.URI, pushed.Tag)
	} else {
		r.console.Info("%s is there already as %s; nothing to send", pushed.URI, pushed.Tag)
	}
	return r.output("image-uri", pushed.URI, "image-digest", pushed.Digest, "image-pushed", strconv.FormatBool(pushed.Uploaded))
}

func (r *run) upload(ctx context.Context) error {
	stored, err := r.services.Bucket.Put(ctx, r.plan.BundleKey, r.packed)
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
