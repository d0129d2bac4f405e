package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
)

// read looks at what the run brings along, before anything is asked of the account.
func (r *run) read(ctx context.Context, account Account) error {
	r.console.Info("deployment %s: %s %s to %s", r.plan.DeploymentID, r.plan.Release.Service, r.plan.Release.Version, r.plan.Release.Environment)
	problems := []error{r.output("version", r.plan.Release.Version.String(), "deployment-id", r.plan.DeploymentID)}
	if r.plan.Image && r.plan.Source != "" {
		source, err := account.OpenImage(ctx)
		problems = append(problems, err)
		if r.source = source; err == nil {
			r.console.Info("image: %s, %s", source.Kind(), strings.Join(source.Platforms(), ", "))
		}
	}
	if r.plan.Bundle {
		packed, err := bundle.Build(r.plan.BundlePath, r.plan.Release, r.plan.Mode)
		problems = append(problems, err)
		if r.packed = packed; err == nil {
			r.console.Info("bundle: %d files, %d of them from %s, sha256 %s", packed.Files, packed.Own, r.plan.BundlePath, packed.SHA256)
			if packed.Own == 0 {
				r.console.Notice("Built-in deploy files only", "%s holds no files of the repository's own; if it should, check the repository out first", r.plan.BundlePath)
			}
		}
	}
	return errors.Join(problems...)
}

// preflight asks everyone whether the operation can be carried out, and changes
// nothing. It reports every reason against it at once: first what can be known without
// the lock, and then, under it, what the instances say.
func (r *run) preflight(ctx context.Context, account Account) error {
	if err := r.connect(ctx, account); err != nil {
		return err
	}
	problems := []error{r.findImage(ctx), r.findBundle(ctx)}
	if !r.plan.Rollout {
		return errors.Join(problems...)
	}
	found, err := r.find(ctx)
	problems = append(problems, err)
	r.result.Current, err = r.services.Lease.ReadCurrent(ctx)
	if err := errors.Join(append(problems, err)...); err != nil {
		return errors.Join(err, r.held(ctx))
	}
	if r.plan.DryRun {
		if held := r.held(ctx); held != nil {
			r.console.Notice("A deploy is under way", "%v", held)
		}
		return r.askBefore(ctx, found)
	}
	if err := r.acquire(ctx); err != nil {
		return err
	}
	ctx = r.guarded(ctx)
	// What runs is asked under the lock, so that a version that waited in line meets the
	// one that was before it.
	if r.result.Current, err = r.services.Lease.ReadCurrent(ctx); err != nil {
		return err
	}
	return r.askBefore(ctx, found)
}

// maxSkew is by how much clocks may differ before somebody should know.
const maxSkew = time.Minute

func (r *run) connect(ctx context.Context, account Account) error {
	services, err := account.Connect(ctx)
	if err != nil {
		return err
	}
	r.services, r.result.Account = services, services.Account
	r.console.Info("account %s, region %s", services.Account, r.plan.Region)
	if services.Skew.Abs() > maxSkew {
		r.console.Notice("This machine's clock is wrong", "AWS's clock is %s ahead of it, which is allowed for", services.Skew.Round(time.Second))
	}
	return nil
}

// find returns the instances that the plan means, all of which can be reached.
func (r *run) find(ctx context.Context) ([]fleet.Instance, error) {
	ready, unready, err := r.services.Fleet.Find(ctx, r.plan.Targets)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, problem := range unready {
		problems = append(problems, problem)
	}
	if n := len(ready) + len(unready); n < r.plan.MinInstances {
		problems = append(problems, &TooFewError{Found: ready, Want: r.plan.MinInstances})
	}
	return ready, some(problems)
}

// TooFewError says that there are fewer instances than the plan wants.
type TooFewError struct {
	Found []fleet.Instance
	Want  int
}

func (e *TooFewError) Error() string {
	var names []string
	for _, instance := range e.Found[:min(len(e.Found), maxNamed)] {
		names = append(names, instance.String())
	}
	return fmt.Sprintf("%s found where min-instances wants %d: %s", Instances(len(e.Found)), e.Want, or(strings.Join(names, ", "), "none"))
}

// held is who holds the lock, as a problem; nil: nobody.
func (r *run) held(ctx context.Context) error {
	// What is wrong with the bucket is among the problems already.
	if held, err := r.services.Lease.CurrentHolder(ctx); err == nil && held != nil {
		return held
	}
	return nil
}

// acquire waits for the lock of the service in its environment.
func (r *run) acquire(ctx context.Context) error {
	lock, err := r.services.Lease.Acquire(ctx, r.plan.Holder, r.plan.LockTimeout, func(held *lease.HeldError) {
		r.console.Info("waiting for up to %s: %v", r.plan.LockTimeout, held)
	})
	if err != nil {
		return err
	}
	r.lock = lock
	r.console.Info("the lock is held, generation %d", lock.Generation())
	return errors.Join(r.console.SaveState("deployment", r.plan.DeploymentID), r.console.SaveState("lock", lock.Token))
}

// findImage makes sure that an earlier job has pushed this image as this version, or that
// there is a repository to push to.
func (r *run) findImage(ctx context.Context) error {
	if r.plan.Operation != Deploy || !r.plan.Image && !r.plan.Rollout {
		return nil
	}
	tag := r.plan.Release.ImageTag()
	if r.plan.Image {
		return r.services.Repository.Check(ctx, tag)
	}
	digest, err := r.services.Repository.Resolve(ctx, tag)
	if err != nil {
		return err
	}
	if digest != r.plan.ImageDigest {
		return &image.TagConflictError{Ref: tag, Have: digest, Want: r.plan.ImageDigest}
	}
	return r.useImage(digest)
}

func (r *run) useImage(digest string) error {
	r.result.Image.Digest, r.result.Image.URI = digest, r.services.Repository.URI(digest)
	return r.output("image-uri", r.result.Image.URI, "image-digest", digest)
}

// findBundle makes sure of a bundle that an earlier job has stored.
func (r *run) findBundle(ctx context.Context) error {
	if r.plan.Operation != Deploy || r.plan.Bundle || !r.plan.Rollout {
		return nil
	}
	return r.useBundle(ctx, r.plan.BundleSHA256)
}

func (r *run) useBundle(ctx context.Context, sha256 string) error {
	stored, err := r.services.Bucket.Find(ctx, r.plan.Release.BundleKey(r.plan.BundlePrefix), sha256)
	if err != nil {
		return err
	}
	r.result.Bundle = stored
	return r.output("bundle-uri", stored.URI, "bundle-sha256", stored.SHA256)
}

// askBefore learns from the hosts themselves what they run, and refuses to replace what
// must not be replaced.
func (r *run) askBefore(ctx context.Context, found []fleet.Instance) error {
	for _, instance := range found {
		r.result.Hosts = append(r.result.Hosts, &Host{Instance: instance, State: NotStarted})
	}
	problems := []error{r.ask(ctx, r.result.Hosts)}
	if r.plan.Operation == Rollback && errors.Join(problems...) == nil {
		problems = append(problems, r.aim(ctx))
	}
	for _, host := range r.result.Hosts {
		problems = append(problems, r.checkBefore(host))
	}
	if errors.Join(problems...) == nil {
		problems = append(problems, r.checkCurrent())
	}
	return errors.Join(some(problems), r.output("instance-count", fmt.Sprint(len(found)), "previous-version", r.result.Previous()))
}

// checkBefore refuses to replace another environment's release, or a newer one
// without leave.
func (r *run) checkBefore(host *Host) error {
	if host.Before == "" {
		return nil
	}
	current, err := release.ParseVersion(host.Before)
	switch {
	case err != nil:
		return fmt.Errorf("instance %s runs something else: %w", host.ID, err)
	case current.Environment() != r.plan.Release.Environment:
		return fmt.Errorf("instance %s runs %s, which belongs to environment %s; is it the right instance?", host.Instance, current, current.Environment())
	case r.plan.AllowDowngrade || r.plan.Operation == Rollback:
		return nil
	}
	return release.CheckDowngrade(r.plan.Release.Version, current, host.String())
}

// checkCurrent refuses a version that is older than what should run, also where none of
// the instances of this run has it.
func (r *run) checkCurrent() error {
	if r.result.Current.Version == "" || r.plan.AllowDowngrade || r.plan.Operation == Rollback {
		return nil
	}
	current, err := release.ParseVersion(r.result.Current.Version)
	if err != nil {
		return fmt.Errorf("the bucket's current release: %w", err)
	}
	return release.CheckDowngrade(r.plan.Release.Version, current, "the instances of "+r.plan.Release.Environment)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
