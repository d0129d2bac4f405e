package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Pushed is an image that the registry has confirmed.
type Pushed struct {
	URI      string // host/name@sha256:…
	Tag      string
	Digest   string // sha256:…
	Uploaded bool   // false when the tag already named this very image, and nothing was sent
	Bytes    int64  // bytes of layers and configs sent
	Reused   int    // layers and configs that were in the repository before
	Created  bool   // the repository
}

// PushOptions say how an image is pushed. The zero value will do.
type PushOptions struct {
	Compression Compression // of layers that are not compressed; Gzip unless it is set
	RecentTags  []string    // tags of images that may be made of the same layers
	Progress    Progress    // may be nil
}

// Push makes tag name src. Everything is sent by digest first, checked on the way, and the tag is written last, so an
// error leaves no tag behind. Layers that the images of how.Near are made of are not sent, but read and checked; an image
// that is there, by its config, is not even read. A tag that already names this image is success; one that names another
// is a TagConflictError.
func (r *Repository) Push(ctx context.Context, src *Source, tag string, how PushOptions) (Pushed, error) {
	pushed, err := r.pushOnce(ctx, src, tag, how)
	if r.create == nil || !errors.Is(err, ErrNoRepository) {
		return pushed, err
	}
	if err := r.create(ctx); err != nil {
		return Pushed{}, err
	}
	pushed, err = r.pushOnce(ctx, src, tag, how)
	pushed.Created = err == nil
	return pushed, err
}

func (r *Repository) pushOnce(ctx context.Context, src *Source, tag string, how PushOptions) (Pushed, error) {
	reference, err := r.client.parseReference(tag)
	if err != nil {
		return Pushed{}, err
	}
	e := &engine{
		client: r.client, compression: cmp.Or(how.Compression, Gzip), meter: newMeter(how.Progress),
		layers: map[v1.Hash]v1.Descriptor{}, blobs: map[v1.Hash]bool{},
	}
	have, err := e.client.fetchManifest(ctx, tag)
	if err != nil {
		return Pushed{}, fmt.Errorf("resolve %s: %w", reference, explainError(err))
	}
	if have != nil {
		// The tag decides already: whatever src is, nothing is to be sent.
		err = e.computeDigest(ctx, src.root, have)
	} else {
		err = e.pushMissing(ctx, src.root, how.RecentTags)
	}
	if err != nil {
		return Pushed{}, fmt.Errorf("push %s: %w", reference, err)
	}
	digest := src.Digest()
	if have != nil && have.Digest.String() != digest {
		return Pushed{}, &TagConflictError{Ref: reference.String(), Have: have.Digest.String(), Want: digest}
	}
	if have == nil {
		if err := r.putTag(ctx, tag, src.root); err != nil {
			return Pushed{}, err
		}
		if err := r.verifyTag(ctx, tag, digest); err != nil {
			return Pushed{}, err
		}
	}
	moved := e.meter.total()
	return Pushed{URI: r.URI(digest), Tag: tag, Digest: digest, Uploaded: have == nil, Bytes: moved.Sent, Reused: moved.Reused}, nil
}

// computeDigest gives m its digest, to be compared with that of have, which the tag names.
func (e *engine) computeDigest(ctx context.Context, m, have *manifest) error {
	if m.raw != nil {
		return nil
	}
	images, err := e.fetchImages(ctx, have, 0)
	if err != nil {
		return explainError(err)
	}
	e.recordImages(images)
	switch adopted, err := e.reuseManifests(m); {
	case err != nil:
		return err
	case adopted:
		return e.countAllReused(m)
	}
	return e.computeLayers(ctx, m)
}

// pushMissing makes the repository hold m, with as little sent as possible. The first of the tags that are near is asked
// alone, since it mostly is the one.
func (e *engine) pushMissing(ctx context.Context, m *manifest, near []string) error {
	if m.raw != nil {
		e.fetchRecent(ctx, near)
		return e.pushBlobs(ctx, m)
	}
	first := min(1, len(near))
	for _, tags := range [][]string{near[:first], near[first:]} {
		e.fetchRecent(ctx, tags)
		switch adopted, err := e.reuseManifests(m); {
		case err != nil:
			return err
		case adopted:
			return e.countAllReused(m)
		}
	}
	e.indexLayers(ctx)
	return e.pushBlobs(ctx, m)
}

// putTag writes tag. Losing a race for an immutable tag is success when the winner pushed the same image. ECR answers
// ImageTagAlreadyExistsException as TAG_INVALID: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
func (r *Repository) putTag(ctx context.Context, tag string, m *manifest) error {
	reference, err := r.client.parseReference(tag)
	if err != nil {
		return err
	}
	err = r.client.putManifest(ctx, tag, m)
	if err == nil {
		return nil
	}
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode/100 == 4 {
		want := digestOf(m.raw).String()
		if have, resolveErr := r.Resolve(ctx, tag); resolveErr == nil && have == want {
			return nil
		} else if resolveErr == nil && tagTaken(answer) {
			return &TagConflictError{Ref: reference.String(), Have: have, Want: want}
		}
	}
	return fmt.Errorf("tag %s: %w", reference, explainError(err))
}

func tagTaken(answer *transport.Error) bool {
	for _, e := range answer.Errors {
		if e.Code == "TAG_INVALID" || e.Code == "ImageTagAlreadyExistsException" {
			return true
		}
	}
	return false
}

// verifyTag asks the registry itself what ref names now.
func (r *Repository) verifyTag(ctx context.Context, ref, want string) error {
	have, err := r.client.fetchManifest(ctx, ref)
	if err != nil {
		return fmt.Errorf("verify push: %w", explainError(err))
	}
	switch {
	case have == nil:
		return fmt.Errorf("verify push: the registry has no %s:%s: %w", r.name, ref, ErrNotFound)
	case have.Digest.String() != want:
		return fmt.Errorf("verify push: %s:%s names %s in the registry, not %s", r.name, ref, have.Digest, want)
	}
	return nil
}
