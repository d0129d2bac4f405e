package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/ledger"
	"github.com/org/atta-deploy-action/internal/release"
)

// read looks at what the run brings along, before anything is asked of the account.
func (r *run) read(ctx context.Context, account Account) error {
	r.console.Info("deployment %s: %s %s to %s", r.plan.DeploymentID, r.plan.Release.Service, r.plan.Release.Version, r.plan.Release.Environment)
	problems := []error{r.output("version", r.plan.Release.Version.String(), "deployment-id", r.plan.DeploymentID)}
	if r.plan.Image {
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

// preflight asks everyone whether the deploy can be carried out, and changes
// nothing. It reports every reason against it at once.
func (r *run) preflight(ctx context.Context, account Account) error {
	services, err := account.Connect(ctx)
	if err != nil {
		return err
	}
	r.services, r.result.Account = services, services.Account
	r.console.Info("account %s, region %s", services.Account, r.plan.Region)
	if !r.plan.Rollout {
		return nil
	}
	problems := []error{r.findImage(ctx), r.findBundle(ctx)}
	found, err := services.Fleet.Find(ctx, r.plan.InstanceIDs)
	if err := errors.Join(append(problems, err)...); err != nil {
		return err
	}
	if err := r.acquire(ctx); err != nil {
		return err
	}
	// What runs is asked under the lock, so that a version that waited in line meets the
	// one that was before it.
	return r.askHosts(r.guarded(ctx), found)
}

// acquire waits for the lock of the service in its environment.
func (r *run) acquire(ctx context.Context) error {
	lock, err := r.services.Ledger.Acquire(ctx, r.plan.Holder, r.plan.LockTimeout, func(held *ledger.HeldError) {
		r.console.Info("waiting for up to %s: %v", r.plan.LockTimeout, held)
	})
	if err != nil {
		return err
	}
	r.lock = lock
	r.console.Info("the lock is held, generation %d", lock.Generation())
	return nil
}

// findImage makes sure that an earlier job has pushed this image as this version.
func (r *run) findImage(ctx context.Context) error {
	if r.plan.Image {
		return nil
	}
	tag := r.plan.Release.ImageTag()
	digest, err := r.services.Repository.Resolve(ctx, tag)
	if err != nil {
		return err
	}
	if digest != r.plan.ImageDigest {
		return &image.TagConflictError{Ref: tag, Have: digest, Want: r.plan.ImageDigest}
	}
	r.result.Image.Digest, r.result.Image.URI = digest, r.services.Repository.URI(digest)
	return r.output("image-uri", r.result.Image.URI, "image-digest", digest)
}

// findBundle makes sure of a bundle that an earlier job has stored.
func (r *run) findBundle(ctx context.Context) error {
	if r.plan.Bundle {
		return nil
	}
	stored, err := r.services.Bucket.Find(ctx, r.plan.BundleKey, r.plan.BundleSHA256)
	if err != nil {
		return err
	}
	r.result.Bundle = stored
	return r.output("bundle-uri", stored.URI, "bundle-sha256", stored.SHA256)
}

// askHosts learns from the hosts themselves what they run, and refuses to replace
// a newer version.
func (r *run) askHosts(ctx context.Context, found []fleet.Instance) error {
	for _, instance := range found {
		r.result.Hosts = append(r.result.Hosts, Host{Instance: instance, State: Waiting})
	}
	answer, err := r.services.Fleet.Run(ctx, r.statusScript(), found, nil)
	if err != nil {
		return err
	}
	var problems []error
	var seen int64
	for i, reply := range answer.Results {
		host := &r.result.Hosts[i]
		if reply.Outcome != fleet.Ran || reply.Report.Code != 0 || reply.Report.Deployment != r.plan.DeploymentID {
			host.Message, host.Log = doubt(reply), reply.Log
			problems = append(problems, fmt.Errorf("instance %s cannot say what it runs: %s", host.ID, host.Message))
			continue
		}
		host.Before, host.Report = reply.Report.Version, reply.Report
		seen = max(seen, reply.Report.Generation)
		r.console.Info("%s runs %s", host.Instance, or(host.Before, "nothing yet"))
		problems = append(problems, r.checkBefore(host))
	}
	problems = append(problems, r.lock.Raise(ctx, seen))
	return errors.Join(append(problems, r.output("instance-count", fmt.Sprint(len(found)), "previous-version", r.result.Previous()))...)
}

// doubt says in words why an answer is not one.
func doubt(reply fleet.Result) string {
	if reply.Report != nil {
		return or(reply.Report.Message, reply.Report.Outcome)
	}
	return reply.Reason
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
	case r.plan.AllowDowngrade:
		return nil
	}
	return release.CheckDowngrade(r.plan.Release.Version, current, host.String())
}

func (r *run) statusScript() fleet.Script {
	return fleet.Script{
		Text:       deploy.Bootstrap,
		Parameters: []string{"status", "--service=" + r.plan.Release.Service, "--deployment=" + r.plan.DeploymentID},
		Comment:    "status of " + r.plan.Release.Service,
		Timeout:    statusTimeout,
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
