package image

import (
	"encoding/json"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// sealManifest encodes the manifest of an image once its layers have digests, or an index of such images.
func (m *manifest) sealManifest() error {
	if m.raw != nil {
		return nil
	}
	var written any
	if m.MediaType.IsIndex() {
		index := v1.IndexManifest{SchemaVersion: 2, MediaType: m.MediaType}
		for _, child := range m.children {
			if err := child.sealManifest(); err != nil {
				return err
			}
			index.Manifests = append(index.Manifests, child.Descriptor)
		}
		written = index
	} else {
		image := v1.Manifest{SchemaVersion: 2, Config: m.blobs[0].Descriptor, Layers: []v1.Descriptor{}}
		for _, layer := range m.blobs[1:] {
			image.Layers = append(image.Layers, layer.Descriptor)
		}
		if m.MediaType != types.DockerManifestSchema2 || slices.ContainsFunc(image.Layers, foreignToDocker) {
			m.MediaType = types.OCIManifestSchema1
		}
		image.MediaType, image.Config.MediaType = m.MediaType, configType(m.MediaType)
		for i := range image.Layers {
			image.Layers[i].MediaType = layerType(m.MediaType, image.Layers[i].MediaType)
		}
		written = image
	}
	raw, err := json.Marshal(written)
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	m.raw, m.Digest, m.Size = raw, digestOf(raw), int64(len(raw))
	return nil
}

// foreignToDocker reports whether a Docker manifest, which does not support zstd, cannot list the layer.
func foreignToDocker(layer v1.Descriptor) bool {
	return layer.MediaType != types.DockerLayer && layer.MediaType != types.OCILayer
}

func configType(manifest types.MediaType) types.MediaType {
	if manifest == types.DockerManifestSchema2 {
		return types.DockerConfigJSON
	}
	return types.OCIConfigJSON
}

// layerType translates a layer's media type to that of the manifest's format.
func layerType(manifest, layer types.MediaType) types.MediaType {
	docker := manifest == types.DockerManifestSchema2
	switch layer {
	case types.OCILayer, types.DockerLayer:
		if docker {
			return types.DockerLayer
		}
		return types.OCILayer
	case types.DockerUncompressedLayer:
		return types.OCIUncompressedLayer
	}
	return layer
}
