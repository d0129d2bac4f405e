package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layout is an OCI image layout: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
type layout struct{ files }

func readLayout(ctx context.Context, f files) (*manifest, error) {
	found, err := f.findFile("index.json")
	if err != nil {
		return nil, err
	}
	var index v1.IndexManifest
	raw, digest, err := found.decodeJSON(&index)
	if err != nil {
		return nil, err
	}
	l := layout{f}
	images := l.dropListed(ctx, distinctDescriptors(index.Manifests))
	switch {
	case len(images) == 0:
		return nil, errors.New("index.json lists no image")
	case len(images) == 1:
		return walkManifests(ctx, l, images[0])
	case !onePerPlatform(images):
		var names []string
		for _, desc := range images {
			names = append(names, imageName(desc))
		}
		return nil, severalError(names)
	}
	// index.json is itself the index of one image for several platforms.
	desc := v1.Descriptor{MediaType: types.OCIImageIndex, Digest: digest, Size: int64(len(raw))}
	m := &manifest{Descriptor: desc, raw: raw}
	return m, m.readIndex(ctx, l, visited{}, 0)
}

// dropListed drops the descriptors that an index among them lists: oras writes an index and its images to index.json.
func (l layout) dropListed(ctx context.Context, all []v1.Descriptor) []v1.Descriptor {
	listed := map[v1.Hash]bool{}
	for _, desc := range all {
		var index v1.IndexManifest
		if !desc.MediaType.IsIndex() {
			continue
		} else if raw, err := l.readManifest(ctx, desc); err == nil {
			_ = json.Unmarshal(raw, &index) // what is wrong with an index is reported when it is read
		}
		for _, child := range index.Manifests {
			listed[child.Digest] = true
		}
	}
	return slices.DeleteFunc(all, func(desc v1.Descriptor) bool { return listed[desc.Digest] })
}

// distinctDescriptors drops descriptors of the same image under another name.
func distinctDescriptors(all []v1.Descriptor) []v1.Descriptor {
	var result []v1.Descriptor
	seen := map[v1.Hash]bool{}
	for _, desc := range all {
		if !seen[desc.Digest] {
			result = append(result, desc)
		}
		seen[desc.Digest] = true
	}
	return result
}

// onePerPlatform reports whether all descriptors are images for different platforms.
func onePerPlatform(all []v1.Descriptor) bool {
	seen := map[string]bool{}
	for _, desc := range all {
		if desc.Platform == nil || !desc.MediaType.IsImage() || seen[desc.Platform.String()] {
			return false
		}
		// Attestations, one for each image, all have the platform unknown/unknown.
		seen[desc.Platform.String()] = desc.Platform.OS != unknownOS
	}
	return true
}

// imageName returns the name of an image in the layout, or its digest.
func imageName(desc v1.Descriptor) string {
	// containerd, and so Docker, writes the full name to the first, and only the tag to the second, which OCI specifies.
	for _, key := range []string{"io.containerd.image.name", "org.opencontainers.image.ref.name"} {
		if name := desc.Annotations[key]; name != "" {
			return name
		}
	}
	return desc.Digest.String()
}

// severalError are the names of several images, of which one has to be chosen.
type severalError []string

func (e severalError) Error() string {
	return fmt.Sprintf("it contains %d images: %s; save only one", len(e), strings.Join(e, ", "))
}

func (l layout) findBlob(desc v1.Descriptor) (file, error) {
	if desc.Digest.Algorithm != "sha256" {
		return file{}, fmt.Errorf("digest %q: only sha256 is supported", desc.Digest)
	}
	found, err := l.findFile("blobs/sha256/" + desc.Digest.Hex)
	if err != nil {
		return file{}, err
	}
	if found.size != desc.Size {
		return file{}, fmt.Errorf("%s: it has %d bytes, not %d as in its descriptor", found.name, found.size, desc.Size)
	}
	return found, nil
}

func (l layout) readManifest(_ context.Context, desc v1.Descriptor) ([]byte, error) {
	found, err := l.findBlob(desc)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	raw, _, err := found.readAll()
	return raw, err
}

func (l layout) openBlob(desc v1.Descriptor) (*blob, error) {
	found, err := l.findBlob(desc)
	if err != nil {
		return nil, err
	}
	open := func(context.Context) (io.ReadCloser, error) { return found.open() }
	return &blob{Descriptor: desc, length: desc.Size, unchanged: true, open: open}, nil
}
