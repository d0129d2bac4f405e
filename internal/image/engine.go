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

// uploads is how many blobs are read, compressed and sent side by side: as many as fill a gigabit. With more of them the
// largest, on which all waits in the end, would get less of the cores and of the link.
const uploads = 3

// engine moves the bytes of one push, each of them once: a layer is read, checked, compressed, digested and sent in one
// pass. What goes wrong on the way is done again from the start of the blob: compressing again costs only then, while a
// copy of the compressed bytes would cost always. It writes no tags.
type engine struct {
	client      *client
	compression Compression
	meter       *meter

	images []*manifest               // that the repository holds, with the descriptors of their blobs
	blobs  map[v1.Hash]bool          // that the repository holds
	layers map[v1.Hash]v1.Descriptor // by what is in them: layers that the repository holds
}

// fetchImages returns the images that m is or lists, with the descriptors of their blobs.
func (e *engine) fetchImages(ctx context.Context, m *manifest, depth int) (images []*manifest, err error) {
	var parsed struct {
		Config            v1.Descriptor
		Layers, Manifests []v1.Descriptor
	}
	if err := json.Unmarshal(m.raw, &parsed); err != nil {
		return nil, nil //nolint:nilerr // what is not understood is not used
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
		found, err := e.client.fetchManifest(ctx, child.Digest.String())
		if err != nil {
			return nil, err
		}
		if found == nil || found.Digest != child.Digest {
			continue
		}
		more, err := e.fetchImages(ctx, found, depth+1)
		if err != nil {
			return nil, err
		}
		images = append(images, more...)
	}
	return images, nil
}

// fetchRecent notes the images that the tags name. They are only a hint: what cannot be read is not used, and what is wrong
// with the registry shows when something is sent.
func (e *engine) fetchRecent(ctx context.Context, tags []string) {
	found := make([][]*manifest, len(tags))
	var group sync.WaitGroup
	for i, tag := range tags {
		group.Go(func() {
			if m, err := e.client.fetchManifest(ctx, tag); err == nil && m != nil {
				found[i], _ = e.fetchImages(ctx, m, 0)
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
			if b.MediaType.IsDistributable() { // others are listed and lie elsewhere
				e.blobs[b.Digest] = true
			}
		}
	}
}

// hasManifest reports whether the repository is known to hold m.
func (e *engine) hasManifest(m *manifest) bool {
	return slices.ContainsFunc(e.images, func(have *manifest) bool { return have.Digest == m.Digest })
}

// indexLayers finds out what is in the layers of the images that the repository holds: their configs list it. Of layers with
// the same content the first counts, so that the same images make for the same digest.
func (e *engine) indexLayers(ctx context.Context) {
	configs := make([]v1.ConfigFile, len(e.images))
	var group errgroup.Group
	group.SetLimit(uploads)
	for i, m := range e.images {
		if config := m.blobs[0]; config.MediaType.IsConfig() {
			group.Go(func() error { return e.client.fetchJSON(ctx, config.Digest, &configs[i]) })
		}
	}
	_ = group.Wait() // what cannot be read is not used
	for i, m := range e.images {
		contents := configs[i].RootFS.DiffIDs
		if len(contents) != len(m.blobs)-1 {
			continue
		}
		for j, layer := range m.blobs[1:] {
			if _, there := e.layers[contents[j]]; !there && e.compression.matchesMediaType(layer.MediaType) {
				e.layers[contents[j]] = layer.Descriptor
			}
		}
	}
}

// reuseManifests gives images that have no manifest yet those that the repository has for the same configs, if it has one for
// each: whatever compressed their layers, they hold the same. A config lists the digests of what its layers hold, and
// whoever pulls checks that they do, so what lies on this machine is neither sent nor read:
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

// pushBlobs makes everything below m be in the repository by digest: blobs first, then manifests from the leaves up.
func (e *engine) pushBlobs(ctx context.Context, m *manifest) error {
	if err := e.distinctBlobs(m, func(blobs []*blob) error { return e.pushOrVerifyAll(ctx, blobs) }); err != nil {
		return err
	}
	if err := m.sealManifest(); err != nil {
		return err
	}
	return e.putManifests(ctx, m)
}

// pushOrVerifyAll makes the repository hold the blobs. Layers that need only be hashed neither wait for the network nor keep
// anything from it.
func (e *engine) pushOrVerifyAll(ctx context.Context, blobs []*blob) error {
	var sent, held []*blob
	for _, b := range blobs {
		if e.hasDiffID(b) {
			held = append(held, b)
		} else {
			sent = append(sent, b)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return sideBySide(ctx, sent, e.pushBlob) })
	group.Go(func() error { return sideBySide(ctx, held, e.verifyContent) })
	return group.Wait()
}

// countAllReused counts everything of m as being in the repository.
func (e *engine) countAllReused(m *manifest) error {
	return e.distinctBlobs(m, func(blobs []*blob) error {
		for _, b := range blobs {
			e.meter.countReused(b)
		}
		return nil
	})
}

// computeLayers gives m its digest without sending anything.
func (e *engine) computeLayers(ctx context.Context, m *manifest) error {
	err := e.distinctBlobs(m, func(blobs []*blob) error {
		return sideBySide(ctx, blobs, func(ctx context.Context, b *blob) (err error) {
			if b.Digest == (v1.Hash{}) {
				b.Digest, b.Size, err = b.storeTo(ctx, io.Discard, e.compression, e.meter.countRead(b))
				b.MediaType = e.compression.mediaTypeOf(b)
			}
			return err
		})
	})
	return errors.Join(err, m.sealManifest())
}

// distinctBlobs calls do with one blob of each content, the largest first, and gives the others what it got.
func (e *engine) distinctBlobs(m *manifest, do func([]*blob) error) error {
	same := map[v1.Hash][]*blob{}
	var first []*blob
	for image := range m.images() {
		for _, b := range image.blobs {
			id := cmp.Or(b.diffID, b.Digest)
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

// sideBySide calls do for every blob, and ends with the first error.
func sideBySide(ctx context.Context, blobs []*blob, do func(context.Context, *blob) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(uploads)
	for _, b := range blobs {
		group.Go(func() error { return do(ctx, b) })
	}
	return group.Wait()
}

// putManifests writes the manifests that m lists.
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
