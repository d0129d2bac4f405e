package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// maxUploads is how many blobs are read, compressed and uploaded in parallel, enough to saturate 1 Gbit/s. With more, the
// largest blob, which finishes last, would get a smaller share of the cores and the link.
const maxUploads = 3

// engine uploads the blobs and manifests of one push, but no tag. A layer is read, verified, compressed, hashed and uploaded
// in one pass. A retry starts at the beginning of the blob: compressing again costs time only then, while storing the
// compressed bytes would cost time and space in every push.
type engine struct {
	client      *client
	compression Compression
	meter       *meter

	images []*manifest               // images in the repository, with the descriptors of their blobs
	blobs  map[v1.Hash]bool          // blobs in the repository
	layers map[v1.Hash]v1.Descriptor // layers in the repository, by diffID
}

// fetchImages returns m, or the images that the index m lists, with the descriptors of their blobs.
func (e *engine) fetchImages(ctx context.Context, m *manifest, v visited, depth int) (images []*manifest, err error) {
	var parsed struct {
		Config            v1.Descriptor
		Layers, Manifests []v1.Descriptor
	}
	if err := json.Unmarshal(m.raw, &parsed); err != nil {
		return nil, nil //nolint:nilerr // an unknown format is not reused
	}
	if !m.MediaType.IsIndex() {
		for _, desc := range append([]v1.Descriptor{parsed.Config}, parsed.Layers...) {
			m.blobs = append(m.blobs, &blob{Descriptor: desc})
		}
		return []*manifest{m}, nil
	}
	for _, child := range parsed.Manifests {
		if depth == maxDepth || !child.MediaType.IsIndex() && !child.MediaType.IsImage() {
			continue
		}
		fresh, err := v.markRead(child.Digest)
		if err != nil {
			return nil, err
		}
		if !fresh {
			continue
		}
		found, err := e.client.fetchManifest(ctx, child.Digest.String())
		if err != nil {
			return nil, err
		}
		if found == nil || found.Digest != child.Digest {
			continue
		}
		more, err := e.fetchImages(ctx, found, v, depth+1)
		if err != nil {
			return nil, err
		}
		images = append(images, more...)
	}
	return images, nil
}

// fetchRecent records the images that refs, tags or digests, name. Images that cannot be read are ignored: they would only
// save uploads, and an upload reports what is wrong with the registry.
func (e *engine) fetchRecent(ctx context.Context, refs []string) {
	found := make([][]*manifest, len(refs))
	var group sync.WaitGroup
	for i, ref := range refs {
		group.Go(func() {
			if m, err := e.client.fetchManifest(ctx, ref); err == nil && m != nil {
				found[i], _ = e.fetchImages(ctx, m, visited{}, 0)
			}
		})
	}
	group.Wait()
	for _, images := range found {
		e.recordImages(images)
	}
}

func (e *engine) recordImages(images []*manifest) {
	for _, m := range images {
		if e.hasManifest(m) {
			continue
		}
		e.images = append(e.images, m)
		for _, b := range m.blobs {
			if b.MediaType.IsDistributable() { // others are not stored in the repository
				e.blobs[b.Digest] = true
			}
		}
	}
}

// hasManifest reports whether m is known to be in the repository.
func (e *engine) hasManifest(m *manifest) bool {
	return slices.ContainsFunc(e.images, func(have *manifest) bool { return have.Digest == m.Digest })
}

// indexLayers maps the diffIDs in the configs of the repository's images to their layers. Of layers with the same diffID
// the first one is used, so that the same images result in the same digest.
func (e *engine) indexLayers(ctx context.Context) {
	configs := make([]v1.ConfigFile, len(e.images))
	var group errgroup.Group
	group.SetLimit(maxUploads)
	for i, m := range e.images {
		if config := m.blobs[0]; config.MediaType.IsConfig() {
			group.Go(func() error { return e.client.fetchJSON(ctx, config.Digest, &configs[i]) })
		}
	}
	_ = group.Wait() // a config that cannot be read is ignored
	for i, m := range e.images {
		diffIDs := configs[i].RootFS.DiffIDs
		if len(diffIDs) != len(m.blobs)-1 {
			continue
		}
		for j, layer := range m.blobs[1:] {
			if _, known := e.layers[diffIDs[j]]; !known && e.compression.matchesMediaType(layer.MediaType) {
				e.layers[diffIDs[j]] = layer.Descriptor
			}
		}
	}
}

// reuseManifests sets the manifests of images that have none to those in the repository with the same configs, and reports
// whether it found one for each. A config lists the diffIDs of its layers, which the client verifies when it pulls, so the
// local layers need not be read, however the layers in the repository are compressed:
// https://github.com/opencontainers/image-spec/blob/main/config.md#layer-diffid
func (e *engine) reuseManifests(m *manifest) (bool, error) {
	if m.raw != nil {
		return false, nil
	}
	found := map[*manifest]*manifest{}
	for image := range m.images() {
		i := slices.IndexFunc(e.images, func(have *manifest) bool {
			return have.blobs[0].Digest == image.blobs[0].Digest && len(have.blobs) == len(image.blobs)
		})
		if i < 0 {
			return false, nil
		}
		found[image] = e.images[i]
	}
	for image, have := range found {
		image.raw, image.Digest, image.Size, image.MediaType = have.raw, have.Digest, have.Size, have.MediaType
	}
	return true, m.sealManifest()
}

// pushBlobs uploads the blobs of m that are missing, and then the manifests that m lists, from the leaves up.
func (e *engine) pushBlobs(ctx context.Context, m *manifest) error {
	if err := e.distinctBlobs(m, func(blobs []*blob) error { return e.pushOrVerifyAll(ctx, blobs) }); err != nil {
		return err
	}
	if err := m.sealManifest(); err != nil {
		return err
	}
	return e.putManifests(ctx, m)
}

// pushOrVerifyAll uploads the blobs that are missing, and in parallel verifies the layers whose content the repository has.
// The two have separate limits, so that neither delays the other.
func (e *engine) pushOrVerifyAll(ctx context.Context, blobs []*blob) error {
	var missing, known []*blob
	for _, b := range blobs {
		if e.hasDiffID(b) {
			known = append(known, b)
		} else {
			missing = append(missing, b)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return runParallel(ctx, missing, e.pushBlob) })
	group.Go(func() error { return runParallel(ctx, known, e.verifyContent) })
	return group.Wait()
}

// countAllReused counts every blob of m as reused.
func (e *engine) countAllReused(m *manifest) error {
	return e.distinctBlobs(m, func(blobs []*blob) error {
		for _, b := range blobs {
			e.meter.countReused(b)
		}
		return nil
	})
}

// computeLayers computes the digests of the layers and of m without uploading anything.
func (e *engine) computeLayers(ctx context.Context, m *manifest) error {
	err := e.distinctBlobs(m, func(blobs []*blob) error {
		return runParallel(ctx, blobs, func(ctx context.Context, b *blob) (err error) {
			if b.Digest == (v1.Hash{}) {
				b.Digest, b.Size, err = b.storeTo(ctx, io.Discard, e.compression, e.meter.countRead(b))
				b.MediaType = e.compression.mediaTypeOf(b)
			}
			return err
		})
	})
	return errors.Join(err, m.sealManifest())
}

// distinctBlobs calls do with one blob of each content, the largest first, and copies its descriptor to the others.
func (e *engine) distinctBlobs(m *manifest, do func([]*blob) error) error {
	same := map[v1.Hash][]*blob{}
	var first []*blob
	for image := range m.images() {
		for _, b := range image.blobs {
			id := cmp.Or(b.Digest, b.diffID)
			if same[id] = append(same[id], b); len(same[id]) == 1 {
				first = append(first, b)
				e.meter.addExpected(b)
			}
		}
	}
	slices.SortStableFunc(first, func(a, b *blob) int { return cmp.Compare(b.length, a.length) })
	if err := do(first); err != nil {
		return err
	}
	for _, blobs := range same {
		for _, b := range blobs[1:] {
			b.Digest, b.Size, b.MediaType = blobs[0].Digest, blobs[0].Size, blobs[0].MediaType
		}
	}
	return nil
}

// runParallel calls do for every blob, at most maxUploads at once, and returns the first error.
func runParallel(ctx context.Context, blobs []*blob, do func(context.Context, *blob) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxUploads)
	for _, b := range blobs {
		group.Go(func() error { return do(ctx, b) })
	}
	return group.Wait()
}

// putManifests writes the manifests that m lists, from the leaves up.
func (e *engine) putManifests(ctx context.Context, m *manifest) error {
	for _, child := range m.children {
		if err := e.putManifests(ctx, child); err != nil {
			return err
		}
		if e.hasManifest(child) {
			continue
		}
		if err := e.client.putManifest(ctx, child.Digest.String(), child); err != nil {
			return fmt.Errorf("manifest %s: %w", child.Digest, explainError(err))
		}
	}
	return nil
}
