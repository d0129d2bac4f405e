package image

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

func zstdOf(data string) string {
	w := must(zstd.NewWriter(nil))
	defer w.Close()
	return string(w.EncodeAll([]byte(data), nil))
}

// zstdLayout returns an OCI layout of the image with its layers compressed with zstd.
func zstdLayout(t *testing.T, image v1.Image) tree {
	t.Helper()
	files := modernDockerSaveOf(image)
	delete(files, "manifest.json")
	return changeLayout(t, files, func(_ *v1.IndexManifest, m *v1.Manifest) {
		for i, layer := range m.Layers {
			content := zstdOf(files["blobs/sha256/"+layer.Digest.Hex])
			delete(files, "blobs/sha256/"+layer.Digest.Hex)
			digest := digestOf([]byte(content))
			files["blobs/sha256/"+digest.Hex] = content
			m.Layers[i] = v1.Descriptor{MediaType: types.OCILayerZStd, Digest: digest, Size: int64(len(content))}
		}
	})
}

// partialIndex puts the only image of the layout into an index that also lists an image that is not there.
func partialIndex(t *testing.T, files tree) tree {
	t.Helper()
	var index v1.IndexManifest
	unmarshal(t, files["index.json"], &index)
	index.Manifests[0].Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	absent := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf([]byte("absent")), Size: 480, Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}
	inner := string(must(json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: append(index.Manifests, absent)})))
	files["blobs/sha256/"+digestOf([]byte(inner)).Hex] = inner
	files["index.json"] = string(must(json.Marshal(v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{
		{MediaType: types.OCIImageIndex, Digest: digestOf([]byte(inner)), Size: int64(len(inner))},
	}})))
	return files
}

// renameLayers appends suffix to the names of the layers in manifest.json.
func renameLayers(t *testing.T, files tree, suffix string) tree {
	t.Helper()
	var list []savedImage
	unmarshal(t, files["manifest.json"], &list)
	for i, name := range list[0].Layers {
		files[name+suffix] = files[name]
		delete(files, name)
		list[0].Layers[i] = name + suffix
	}
	files["manifest.json"] = string(must(json.Marshal(list)))
	return files
}

func TestCaseZstdLayersBehindManifestJSONArePushed(t *testing.T) {
	image := randomImage(2)
	saved := withManifestJSON(t, zstdLayout(t, image))
	// rules_oci names a layer .tar.gz, whatever compresses it: https://github.com/bazel-contrib/rules_oci/issues/333
	bazel := renameLayers(t, saved.clone(), ".tar.gz")
	delete(bazel, "index.json")
	// The data may begin with a frame to skip, as that of pzstd does.
	skipped := bazel.clone()
	for name, content := range skipped {
		if strings.HasSuffix(name, ".tar.gz") {
			skipped[name] = "\x50\x2a\x4d\x18\x04\x00\x00\x00skip" + content
		}
	}
	for name, files := range map[string]tree{
		"image store of containerd":     saved,
		"one of two platforms is there": partialIndex(t, saved.clone()),
		"rules_oci":                     bazel,
		"frame to skip":                 skipped,
	} {
		t.Run(name, func(t *testing.T) {
			for _, ref := range []string{write(t, files.tar()), write(t, []byte(zstdOf(string(files.tar())))), files.folder(t)} {
				s := newServer(t)
				got, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
				if err != nil {
					t.Fatal(err)
				}
				s.checkZstd(t, "app@"+got.Digest, image)
			}
		})
	}
}

// checkZstd checks that ref is an OCI image whose layers are compressed with zstd and have the content of those of want.
func (s *server) checkZstd(t *testing.T, ref string, want v1.Image) {
	t.Helper()
	src := s.checkComplete(t, ref)
	if src.root.MediaType != types.OCIManifestSchema1 || src.root.blobs[0].Digest != must(want.ConfigName()) {
		t.Errorf("pushed a %s of the image %s", src.root.MediaType, src.root.blobs[0].Digest)
	}
	for i, layer := range src.root.blobs[1:] {
		packed := must(layer.open(t.Context()))
		content := sha256.New()
		if err := unpackTo(content, packed); err != nil {
			t.Error(err)
		}
		_ = packed.Close()
		if want := must(must(want.Layers())[i].DiffID()); layer.MediaType != types.OCILayerZStd || hashSum(content) != want {
			t.Errorf("%s is %s with the content %s, want %s", layer.name, layer.MediaType, hashSum(content), want)
		}
	}
}

func TestCaseADamagedZstdLayerIsRefused(t *testing.T) {
	files := withManifestJSON(t, zstdLayout(t, randomImage(1)))
	var list []savedImage
	unmarshal(t, files["manifest.json"], &list)
	layer := list[0].Layers[0]
	delete(files, "index.json")
	for damage, content := range map[string]string{
		"flipped":   flip(files[layer], len(files[layer])/2),
		"truncated": files[layer][:len(files[layer])-100],
		"another":   zstdOf("another"),
	} {
		t.Run(damage, func(t *testing.T) {
			bad := files.clone()
			bad[layer] = content
			if err := refused(t, write(t, bad.tar())); !strings.Contains(err.Error(), layer) {
				t.Errorf("error is %q, want %q in it", err, layer)
			}
		})
	}
}
