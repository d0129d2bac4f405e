package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxDepth is how deep indexes may be nested, and maxManifests how many manifests an image may have. Each is read once,
// however often it is listed.
const (
	maxDepth     = 4
	maxManifests = 200
)

// visited are the manifests of an image that have been read.
type visited map[v1.Hash]bool

// markRead reports whether a manifest is to be read, and returns an error if there are too many.
func (v visited) markRead(digest v1.Hash) (bool, error) {
	if v[digest] {
		return false, nil
	}
	if len(v) == maxManifests {
		return false, fmt.Errorf("it has more than %d manifests", maxManifests)
	}
	v[digest] = true
	return true, nil
}

// manifest is the manifest of an image, or an index of manifests, as it will be in the registry.
type manifest struct {
	v1.Descriptor        // no digest until the layers are compressed
	raw           []byte // uploaded unchanged, so that the digest stays the same
	children      []*manifest
	blobs         []*blob // the config, then the layers
}

// blob is a config or a layer.
type blob struct {
	v1.Descriptor                // no digest until the layer is compressed
	name          string         // in errors
	diffID        v1.Hash        // digest of the uncompressed layer in the config; not set for a registry's layers
	compress      bool           // compress what open returns, the layer's tar, for the upload
	unchanged     bool           // what open returns has the digest above, and is uploaded as it is
	length        int64          // bytes that open returns
	from          name.Reference // where the registry can mount it from; nil if in no registry
	open          func(context.Context) (io.ReadCloser, error)
}

// images yields the manifests that are not indexes.
func (m *manifest) images() iter.Seq[*manifest] {
	return func(yield func(*manifest) bool) { m.visitImages(yield) }
}

func (m *manifest) visitImages(yield func(*manifest) bool) bool {
	for _, child := range m.children {
		if !child.visitImages(yield) {
			return false
		}
	}
	return m.MediaType.IsIndex() || yield(m)
}

// hasPlainLayer reports whether a layer is stored without compression.
func (m *manifest) hasPlainLayer() bool {
	for image := range m.images() {
		for _, b := range image.blobs {
			if isPlain(b.Descriptor) {
				return true
			}
		}
	}
	return false
}

// isPlain reports whether a layer is stored without compression.
func isPlain(layer v1.Descriptor) bool {
	return layer.MediaType == types.OCIUncompressedLayer || layer.MediaType == types.DockerUncompressedLayer
}

// hasAll reports whether each of the images in manifest.json is among those of m, with its layers in the same order.
func (m *manifest) hasAll(saved []savedImage) bool {
	have := slices.Collect(m.images())
	return !slices.ContainsFunc(saved, func(s savedImage) bool {
		return !slices.ContainsFunc(have, func(image *manifest) bool { return image.isSaved(s) })
	})
}

// isSaved reports whether m is s. Layers that are not distributable are only in s.
func (m *manifest) isSaved(s savedImage) bool {
	names := append([]string{s.Config}, s.Layers...)
	for _, b := range m.blobs {
		i := slices.IndexFunc(names, func(name string) bool { return hexDigest.FindString(name) == b.Digest.Hex })
		if i < 0 {
			return false
		}
		names = names[i+1:]
	}
	return true
}

// checkRunnable returns an error unless m is an image for Linux, or has one.
func (m *manifest) checkRunnable() error {
	var others []string
	for image := range m.images() {
		config := image.blobs[0].MediaType
		if !config.IsConfig() {
			others = append(others, string(config))
		} else if p := image.Platform; p == nil || p.OS == "" || p.OS == "linux" {
			return nil
		} else {
			others = append(others, p.String())
		}
	}
	return fmt.Errorf("not a container image for Linux: it has only %s", cmp.Or(strings.Join(others, ", "), "an empty index"))
}

// store provides the parts of an image by digest: an OCI layout or a registry.
type store interface {
	readManifest(context.Context, v1.Descriptor) ([]byte, error)
	openBlob(v1.Descriptor) (*blob, error)
}

// walkManifests reads the manifest that desc describes and all that it lists, and verifies each against its descriptor.
func walkManifests(ctx context.Context, s store, desc v1.Descriptor) (*manifest, error) {
	return visited{desc.Digest: true}.walkManifest(ctx, s, desc, 0)
}

func (v visited) walkManifest(ctx context.Context, s store, desc v1.Descriptor, depth int) (*manifest, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("index %s: nested more than %d deep", desc.Digest, maxDepth)
	}
	raw, err := s.readManifest(ctx, desc)
	if err != nil {
		return nil, err
	}
	if have := digestOf(raw); have != desc.Digest || int64(len(raw)) != desc.Size {
		return nil, fmt.Errorf("manifest %s: damaged: its content has the digest %s", desc.Digest, have)
	}
	m := &manifest{Descriptor: desc, raw: raw}
	switch {
	case desc.MediaType.IsIndex():
		err = m.readIndex(ctx, s, v, depth)
	case desc.MediaType.IsImage():
		err = m.readImage(ctx, s)
	default:
		err = fmt.Errorf("manifest %s: the media type %q is not supported", desc.Digest, desc.MediaType)
	}
	return m, err
}

func (m *manifest) readIndex(ctx context.Context, s store, v visited, depth int) error {
	var index v1.IndexManifest
	if err := decodeJSON(m.raw, &index); err != nil {
		return fmt.Errorf("index %s: %w", m.Digest, err)
	}
	for _, desc := range index.Manifests {
		fresh, err := v.markRead(desc.Digest)
		if err != nil {
			return fmt.Errorf("index %s: %w", m.Digest, err)
		}
		if !fresh {
			continue
		}
		child, err := v.walkManifest(ctx, s, desc, depth+1)
		if errors.Is(err, errMissing) && desc.Platform != nil {
			return fmt.Errorf("%s: %w", desc.Platform, err)
		} else if err != nil {
			return err
		}
		m.children = append(m.children, child)
	}
	return nil
}

func (m *manifest) readImage(ctx context.Context, s store) error {
	var parsed v1.Manifest
	if err := decodeJSON(m.raw, &parsed); err != nil {
		return fmt.Errorf("manifest %s: %w", m.Digest, err)
	}
	config, err := s.openBlob(parsed.Config)
	if err != nil {
		return fmt.Errorf("config %s: %w", parsed.Config.Digest, err)
	}
	config.name = "config " + parsed.Config.Digest.String()
	m.blobs = append(m.blobs, config)
	for i, desc := range parsed.Layers {
		if !desc.MediaType.IsDistributable() {
			continue
		}
		label := fmt.Sprintf("layer %d of %d (%s)", i+1, len(parsed.Layers), desc.Digest)
		layer, err := s.openBlob(desc)
		if err != nil {
			return fmt.Errorf("%s: %w", label, err)
		}
		layer.name = label
		m.blobs = append(m.blobs, layer)
	}
	if !parsed.Config.MediaType.IsConfig() || m.Platform != nil && m.Platform.OS == unknownOS {
		return nil
	}
	return m.matchConfig(ctx, parsed.Layers)
}

// unknownOS is the OS of an attestation in an index: https://docs.docker.com/build/metadata/attestations/attestation-storage/
const unknownOS = "unknown"

// matchConfig compares the layers with the diffIDs in the config: their number, and the content of those that are not
// compressed. That of the others is compared by every engine that pulls the image:
// https://github.com/opencontainers/image-spec/blob/main/config.md#layer-diffid
func (m *manifest) matchConfig(ctx context.Context, layers []v1.Descriptor) error {
	config, _, err := m.blobs[0].readConfig(ctx)
	if err != nil {
		return err
	}
	m.Platform = cmp.Or(m.Platform, config.Platform())
	diffIDs := config.RootFS.DiffIDs
	if have, want := len(layers), len(diffIDs); have != want {
		return fmt.Errorf("manifest %s lists %d layers, its config %d", m.Digest, have, want)
	}
	for i, layer := range layers {
		if isPlain(layer) && layer.Digest != diffIDs[i] {
			return fmt.Errorf("layer %d of %d: its content has the digest %s, not %s as in the config", i+1, len(layers), layer.Digest, diffIDs[i])
		}
	}
	return nil
}

// readConfig returns the image's config and its text.
func (b *blob) readConfig(ctx context.Context) (*v1.ConfigFile, []byte, error) {
	raw, err := b.readContent(ctx)
	if err != nil {
		return nil, nil, err
	}
	var config v1.ConfigFile
	if err := decodeJSON(raw, &config); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", b.name, err)
	}
	return &config, raw, nil
}
