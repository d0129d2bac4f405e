package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

var hexDigest = regexp.MustCompile(`[0-9a-f]{64}`)

// savedImage is one image of manifest.json:
// https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
type savedImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (s savedImage) imageName() string {
	if len(s.RepoTags) > 0 {
		return s.RepoTags[0]
	}
	return s.Config
}

// listSaved returns the images in manifest.json.
func listSaved(f files) (images []savedImage, err error) {
	found, err := f.findFile("manifest.json")
	if err != nil {
		return nil, err
	}
	if _, _, err := found.decodeJSON(&images); err != nil {
		if _, notDir := f.findFile("version"); notDir == nil {
			return nil, errors.New("not an image: a folder in the format dir of skopeo and podman; convert it with skopeo copy dir:<folder> oci:<other folder>")
		}
		return nil, err
	}
	if len(images) == 0 || images[0].Config == "" {
		return nil, errors.New("manifest.json lists no image")
	}
	return images, nil
}

// readDockerSave reads the only one of the images in manifest.json. It has no manifest, and so no digest, until its layers
// are compressed; its config, and so its image ID, does not change.
func readDockerSave(f files, images []savedImage) (*manifest, error) {
	if len(images) > 1 {
		var names []string
		for _, image := range images {
			names = append(names, image.imageName())
		}
		return nil, severalError(names)
	}
	return images[0].readImage(f)
}

func (s savedImage) readImage(f files) (*manifest, error) {
	config, parsed, err := readConfig(f, s.Config)
	if err != nil {
		return nil, fmt.Errorf("config %w", err)
	}
	m := &manifest{blobs: []*blob{config}}
	m.MediaType = types.DockerManifestSchema2
	m.Platform = parsed.Platform()
	if have, want := len(s.Layers), len(parsed.RootFS.DiffIDs); have != want {
		return nil, fmt.Errorf("manifest.json lists %d layers, the config %d", have, want)
	}
	for i, name := range s.Layers {
		if name == "" { // pack leaves out the layers that the engine has
			return nil, fmt.Errorf("layer %d of %d: it is not in the archive, which only an engine that has the layer can load", i+1, len(s.Layers))
		}
		layer, err := readLayer(f, name)
		if err != nil {
			return nil, fmt.Errorf("layer %d of %d (%s): %w", i+1, len(s.Layers), name, err)
		}
		layer.name = fmt.Sprintf("layer %d of %d (%s)", i+1, len(s.Layers), name)
		layer.diffID = parsed.RootFS.DiffIDs[i]
		m.blobs = append(m.blobs, layer)
	}
	return m, nil
}

func readConfig(f files, name string) (*blob, *v1.ConfigFile, error) {
	found, err := f.findFile(name)
	if err != nil {
		return nil, nil, err
	}
	var parsed v1.ConfigFile
	raw, digest, err := found.decodeJSON(&parsed)
	if err != nil {
		return nil, nil, err
	}
	// The config is named after its digest: <hex>.json, blobs/sha256/<hex> or, by go-containerregistry, sha256:<hex>.
	if want := hexDigest.FindString(name); want != "" && want != digest.Hex {
		return nil, nil, fmt.Errorf("%s: damaged: its content has the digest %s", name, digest)
	}
	b := bytesBlob(raw, types.DockerConfigJSON)
	b.name = "config " + name
	return b, &parsed, nil
}

func bytesBlob(data []byte, kind types.MediaType) *blob {
	return &blob{
		Descriptor: v1.Descriptor{MediaType: kind, Digest: digestOf(data), Size: int64(len(data))},
		name:       "config",
		length:     int64(len(data)),
		unchanged:  true,
		open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

// readLayer opens a layer's tar, which the classic docker save does not compress, and other tools do.
func readLayer(f files, name string) (*blob, error) {
	found, err := f.findFile(name)
	if err != nil {
		return nil, err
	}
	r, err := found.open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var magic [4]byte
	n, err := io.ReadFull(r, magic[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	kind, compression := types.DockerLayer, compressionOf(magic[:n])
	if compression == Zstd {
		kind = types.OCILayerZStd
	}
	return &blob{
		Descriptor: v1.Descriptor{MediaType: kind},
		compress:   compression == "",
		length:     found.size,
		open:       func(context.Context) (io.ReadCloser, error) { return found.open() },
	}, nil
}
