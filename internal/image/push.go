package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Pushed is an image that the registry has confirmed.
type Pushed struct {
	URI      string // host/name@sha256:…
	Tag      string
	Digest   string // sha256:…
	Uploaded bool   // false if the tag already named this image, and nothing was sent
	Bytes    int64  // bytes of layers and configs sent
	Reused   int    // layers and configs that were already in the repository
	Created  bool   // the repository was created
}

// PushOptions configure a push. The zero value is valid.
type PushOptions struct {
	Compression Compression // of layers that are not compressed; default Gzip
	Recent      []string    // tags or digests of images that may share layers, and that whoever pushes trusts
	Progress    Progress    // may be nil
	// Refuse, which may be nil, is called with the digest of an image that is not pushed yet. An error ends the push: before
	// anything is sent if the digest is known from the start, and before the tag is written in any case.
	Refuse func(digest string) error
}

// checkDigest calls Refuse if the digest of the image is known.
func (o PushOptions) checkDigest(m *manifest) error {
	if o.Refuse == nil || m.raw == nil {
		return nil
	}
	return o.Refuse(m.Digest.String())
}

// Push uploads src and tags it. Blobs and manifests are verified and uploaded by digest first, and the tag is written last,
// so an error leaves no tag behind. Layers of the images of options.Recent are read and verified, but not uploaded; if
// one of these images has the same config, the layers are not read either. Push succeeds if the tag already names this
// image, and returns a TagConflictError if it names another.
func (r *Repository) Push(ctx context.Context, src *Source, tag string, options PushOptions) (Pushed, error) {
	reference, err := r.client.parseReference(tag)
	if err != nil {
		return Pushed{}, err
	}
	e := &engine{
		client: r.client, compression: cmp.Or(options.Compression, Gzip), meter: newMeter(options.Progress),
		layers: map[v1.Hash]v1.Descriptor{}, blobs: map[v1.Hash]bool{},
	}
	atOnce, later := splitRecent(src.root, options.Recent)
	var recent sync.WaitGroup
	recent.Go(func() { e.fetchRecent(ctx, atOnce) })
	have, err := e.client.getManifest(ctx, tag)
	recent.Wait()
	created, err := r.createMissing(ctx, err)
	if err != nil && !isAbsent(err) {
		return Pushed{}, fmt.Errorf("resolve %s: %w", reference, explainError(err))
	}
	if have != nil {
		// The tag exists, so nothing is uploaded whatever src is.
		err = e.computeDigest(ctx, src.root, have)
	} else if err = options.checkDigest(src.root); err == nil {
		if err = e.pushMissing(ctx, src.root, later); err == nil {
			err = options.checkDigest(src.root)
		}
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
	progress := e.meter.total()
	return Pushed{URI: r.URI(digest), Tag: tag, Digest: digest, Uploaded: have == nil, Bytes: progress.Sent, Reused: progress.Reused, Created: created}, nil
}

// computeDigest computes the digest of m, which is compared with that of have, the image that the tag names.
func (e *engine) computeDigest(ctx context.Context, m, have *manifest) error {
	if m.raw != nil {
		return nil
	}
	images, err := e.fetchImages(ctx, have, visited{}, 0)
	if err != nil {
		return explainError(err)
	}
	e.images, e.blobs = nil, map[v1.Hash]bool{} // the recent images say nothing about this one
	e.recordImages(images)
	switch reused, err := e.reuseManifests(m); {
	case err != nil:
		return err
	case reused:
		return e.countAllReused(m)
	}
	return e.computeLayers(ctx, m)
}

// splitRecent returns the images that are read together with the tag, since one of them usually suffices, and those that
// are read only if it does not. An image whose digest is known needs no configs, and the repository may have it already.
func splitRecent(m *manifest, recent []string) (atOnce, later []string) {
	if m.raw != nil {
		return append([]string{m.Digest.String()}, recent...), nil
	}
	first := min(1, len(recent))
	return recent[:first], recent[first:]
}

// pushMissing uploads what the repository lacks of m.
func (e *engine) pushMissing(ctx context.Context, m *manifest, later []string) error {
	if m.raw != nil {
		return e.pushBlobs(ctx, m)
	}
	for _, refs := range [][]string{nil, later} {
		e.fetchRecent(ctx, refs)
		switch reused, err := e.reuseManifests(m); {
		case err != nil:
			return err
		case reused:
			return e.countAllReused(m)
		}
	}
	e.indexLayers(ctx)
	return e.pushBlobs(ctx, m)
}

// putTag writes tag. If another push wrote an immutable tag first, that is a success for the same image. ECR returns
// ImageTagAlreadyExistsException as TAG_INVALID:
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
func (r *Repository) putTag(ctx context.Context, tag string, m *manifest) error {
	reference, err := r.client.parseReference(tag)
	if err != nil {
		return err
	}
	err = r.client.putManifest(ctx, tag, m)
	if err == nil {
		return nil
	}
	var registryErr *transport.Error
	if errors.As(err, &registryErr) && registryErr.StatusCode/100 == 4 {
		want := digestOf(m.raw).String()
		if have, resolveErr := r.Resolve(ctx, tag); resolveErr == nil && have == want {
			return nil
		} else if resolveErr == nil && isTagTaken(registryErr) {
			return &TagConflictError{Ref: reference.String(), Have: have, Want: want}
		}
	}
	return fmt.Errorf("tag %s: %w", reference, explainError(err))
}

func isTagTaken(registryErr *transport.Error) bool {
	for _, e := range registryErr.Errors {
		if e.Code == "TAG_INVALID" || e.Code == "ImageTagAlreadyExistsException" {
			return true
		}
	}
	return false
}

// verifyTag checks that ref now names the image with the digest want in the registry.
func (r *Repository) verifyTag(ctx context.Context, ref, want string) error {
	have, err := r.client.fetchManifest(ctx, ref)
	if err != nil {
		return fmt.Errorf("verify push: %w", explainError(err))
	}
	switch {
	case have == nil:
		return fmt.Errorf("verify push: read %s:%s: %w", r.name, ref, ErrNotFound)
	case have.Digest.String() != want:
		return fmt.Errorf("verify push: %s:%s is %s in the registry, not %s", r.name, ref, have.Digest, want)
	}
	return nil
}
