package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/storage"
)

// artifacts brings the image and the bundle of a release to the account, or finds them
// there.
type artifacts struct {
	plan     *Plan
	console  Console
	services *Services
	result   *Result
	source   *image.Source // nil without the image phase
	bundle   bundle.Bundle // empty without the bundle phase
	stored   bundle.Stored // this bundle, if it was in the bucket before
}

// readSources reads what the run brings along, before anything is asked of the account.
func (a *artifacts) readSources(ctx context.Context, account Account) error {
	rel := a.plan.Release
	a.console.Info("deployment %s: %s %s to %s", a.plan.DeploymentID, rel.Service, rel.Version, rel.Environment)
	problems := []error{setOutputs(a.console, "version", rel.Version.String(), "deployment-id", a.plan.DeploymentID)}
	if a.plan.Phases.Image && a.plan.Image.Source != "" {
		source, err := account.OpenImage(ctx)
		problems = append(problems, err)
		if a.source = source; err == nil {
			a.console.Info("image: %s, %s", source.Kind(), strings.Join(source.Platforms(), ", "))
		}
	}
	if a.plan.Phases.Bundle {
		problems = append(problems, a.buildBundle())
	}
	return errors.Join(problems...)
}

func (a *artifacts) buildBundle() (err error) {
	path := a.plan.Bundle.Path
	if a.bundle, err = bundle.Build(path, a.plan.Release, a.plan.Bundle.Mode, a.plan.Bundle.Allow...); err != nil {
		return err
	}
	a.console.Info("bundle: %d files, %d of them from %s, sha256 %s", a.bundle.Files, a.bundle.Own, path, a.bundle.SHA256)
	if a.bundle.Own == 0 {
		a.console.Notice("Built-in deploy files only", "%s holds no files of the repository; if it should, check the repository out first", path)
	}
	return nil
}

// ModeError says that nobody has decided how the release runs, and that the guess is probably
// wrong.
type ModeError struct{ Service, Sign string }

func (e *ModeError) Error() string {
	return fmt.Sprintf("the image %s, so it may be a long-lived service, and would be run as a job: set mode: service or mode: job, or add deploy/systemd/%s.service",
		e.Sign, e.Service)
}

// checkMode refuses to run as a job, by default, what looks like a server: its deploy would
// take until the health time-out, and no check would be asked.
func (a *artifacts) checkMode(ctx context.Context) (err error) {
	var sign string
	switch {
	case !a.plan.Phases.Bundle || !a.bundle.UnitGuessed:
	case a.source != nil:
		sign, err = a.source.ServerSign(ctx)
	case a.plan.Image.Digest != "" && a.services.Repository != nil:
		sign, err = a.services.Repository.ServerSign(ctx, a.plan.Image.Digest)
	}
	if sign != "" {
		err = &ModeError{a.plan.Release.Service, sign}
	}
	return err
}

func (a *artifacts) closeSource() error {
	if a.source == nil {
		return nil
	}
	return a.source.Close()
}

func (a *artifacts) pushImage(ctx context.Context) error {
	meter := &pushMeter{began: time.Now()}
	stop := meter.showOn(a.console) //nolint:contextcheck // it ends with the push
	pushed, err := a.services.Repository.Push(ctx, a.source, a.plan.Release.ImageTag(), image.PushOptions{
		Compression: image.Compression(a.plan.Image.Compression), Recent: a.recentImages(), Refuse: a.checkQuarantine, Progress: meter.setLatest,
	})
	stop()
	if err != nil {
		return err
	}
	a.result.Image = pushed
	if pushed.Created {
		a.console.Notice("Repository created", "ECR had no %s", strings.TrimSuffix(pushed.URI, "@"+pushed.Digest))
	}
	if pushed.Uploaded {
		a.console.Info("pushed %s as %s: %d MB sent in %.1f s, %d layers reused", pushed.URI, pushed.Tag, pushed.Bytes>>20, time.Since(meter.began).Seconds(), pushed.Reused)
	} else {
		a.console.Info("%s is already pushed as %s", pushed.URI, pushed.Tag)
	}
	if current := a.result.Current; pushed.Digest == current.Digest && current.Version != a.plan.Release.Version.String() {
		a.console.Notice("The image is that of "+current.Version, "%s changes at most the files in the bundle; if the program should have changed, the build has left the earlier image", a.plan.Release.Version)
	}
	a.recordImage(ctx)
	return setOutputs(a.console, "image-uri", pushed.URI, "image-digest", pushed.Digest, "image-pushed", strconv.FormatBool(pushed.Uploaded && pushed.Bytes > 0))
}

// recordImage keeps in the bucket, if there is one, what was pushed as the version, so that a
// later run can tell it from an image of somebody else.
func (a *artifacts) recordImage(ctx context.Context) {
	if a.plan.Bundle.Bucket == "" {
		return
	}
	version := a.plan.Release.Version.String()
	recorded, err := a.services.Lease.ReadImage(ctx, version)
	if sameCommit := recorded.Commit == a.plan.Commit || a.plan.Tag != version; err == nil && recorded.Digest == a.result.Image.Digest && sameCommit {
		return // by the run that has pushed it
	}
	err = a.services.Lease.WriteImage(ctx, version, lease.Image{
		Digest: a.result.Image.Digest, Deployment: a.plan.DeploymentID, Since: time.Now().UTC().Truncate(time.Second), Commit: a.plan.Commit,
	})
	if err != nil {
		a.console.Warning("The image is not recorded", "a later run will build it again: %v; see %s", err, leftoverPage)
	}
}

// recentImages are the digests of images that the new one may share layers with and that were
// healthy on every instance: of the current and the previous release. What a tag names now is
// not known to be one of them.
func (a *artifacts) recentImages() (digests []string) {
	current := a.result.Current
	if !current.Verified {
		current.Digest = ""
	}
	for _, digest := range []string{current.Digest, current.BeforeImage} {
		if digest != "" && !slices.Contains(digests, digest) {
			digests = append(digests, digest)
		}
	}
	return digests
}

func (a *artifacts) uploadBundle(ctx context.Context) error {
	stored := a.stored
	if stored.URI == "" {
		var err error
		if stored, err = a.services.Bucket.Put(ctx, a.plan.Release, a.bundle); err != nil {
			return err
		}
	}
	a.result.Bundle = stored
	verb := "wrote"
	if stored.Reused {
		verb = "already stored:"
	}
	a.console.Info("%s %s, sha256 %s", verb, stored.URI, stored.SHA256)
	return setOutputs(a.console, "bundle-uri", stored.URI, "bundle-sha256", stored.SHA256)
}

// moveTags comes last, so that latest-<environment> always names an image that was seen
// healthy on every instance.
func (a *artifacts) moveTags(ctx context.Context) error {
	if unproved := slices.DeleteFunc(slices.Clone(a.result.Hosts), func(h *Host) bool { return h.State == Deployed }); len(unproved) > 0 {
		a.console.Notice("No tag was moved", "%s was not seen to succeed on %s; deploy it again when it was, or look at the status; a program that is to stay up needs mode: service",
			a.plan.Release.Version, nameHosts(unproved))
		return nil
	}
	err := a.services.Repository.Tag(ctx, a.result.Image.Digest, a.plan.Image.Tags...)
	if a.plan.Operation == Rollback && errors.Is(err, image.ErrNotFound) {
		a.console.Warning("No tag was moved", "the image of %s is not in the registry any more, so an instance that does not hold it cannot get it: %v", a.plan.Release.Version, err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("every instance runs %s, but its image tags were not moved: %w", a.plan.Release.Version, err)
	}
	for _, tag := range a.plan.Image.Tags {
		a.console.Info("%s now names %s", tag, a.result.Image.Digest)
	}
	return nil
}

// resolveImage checks that an earlier job has pushed this image as this version, or that
// there is a repository to push to and that what it has as this version is not quarantined.
func (a *artifacts) resolveImage(ctx context.Context) error {
	if a.plan.Operation != Deploy || !a.plan.Phases.Image && !a.plan.Phases.Rollout {
		return nil
	}
	tag := a.plan.Release.ImageTag()
	if a.plan.Phases.Image {
		digest, err := a.services.Repository.Check(ctx, tag)
		return errors.Join(err, a.checkQuarantine(digest))
	}
	digest, err := a.services.Repository.Resolve(ctx, tag)
	if err != nil {
		return err
	}
	if digest != a.plan.Image.Digest {
		return &image.TagConflictError{Ref: tag, Have: digest, Want: a.plan.Image.Digest}
	}
	return errors.Join(a.checkQuarantine(digest), a.setImage(digest))
}

func (a *artifacts) setImage(digest string) error {
	a.result.Image.Digest, a.result.Image.URI = digest, a.services.Repository.URI(digest)
	return setOutputs(a.console, "image-uri", a.result.Image.URI, "image-digest", digest)
}

// resolveBundle finds a bundle that an earlier job has stored, or checks that the one to store is
// not another than the version has already.
func (a *artifacts) resolveBundle(ctx context.Context) error {
	switch {
	case a.plan.Operation != Deploy:
	case a.plan.Phases.Bundle:
		stored, err := a.services.Bucket.Find(ctx, a.plan.Release, a.bundle.SHA256)
		if errors.Is(err, bundle.ErrNotFound) || storage.IsDenied(err) && !a.plan.Phases.Rollout {
			return nil // a role that only uploads need not be allowed to read
		}
		a.stored = stored
		return err
	case a.plan.Phases.Rollout:
		return a.findBundle(ctx, a.plan.Bundle.SHA256)
	}
	return nil
}

// findBundle finds the bundle with that checksum.
func (a *artifacts) findBundle(ctx context.Context, sha256 string) error {
	stored, err := a.services.Bucket.Find(ctx, a.plan.Release, sha256)
	if err != nil {
		return err
	}
	if a.result.Bundle = stored; !strings.Contains(stored.URI, "/"+a.plan.Release.Service+"/") {
		a.console.Warning("The bundle is where earlier versions kept it", "%s is still read; the bundle phase writes to a folder of the service: %s", stored.URI, leftoverPage)
	}
	return setOutputs(a.console, "bundle-uri", stored.URI, "bundle-sha256", stored.SHA256)
}
