package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// randomImage returns an image for linux/amd64 with layers of 20 kB.
func randomImage(layers int64) v1.Image {
	return imageFor(v1.Platform{OS: "linux", Architecture: "amd64"}, layers)
}

func imageFor(p v1.Platform, layers int64) v1.Image {
	image := must(random.Image(20_000, layers))
	config := must(image.ConfigFile()).DeepCopy()
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	return must(mutate.ConfigFile(image, config))
}

// twoPlatforms returns an index as buildx writes it: two images and an attestation of each.
func twoPlatforms() v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range []v1.Platform{
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "arm64", Variant: "v8"},
		{OS: "unknown", Architecture: "unknown"},
		{OS: "unknown", Architecture: "unknown"},
	} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: imageFor(p, 2), Descriptor: v1.Descriptor{Platform: &p}})
	}
	return index
}

// tree maps names to contents. A content that starts with "-> " is a symbolic link; a file whose name ends with * is
// executable when it is written to a folder.
type tree map[string]string

func (f tree) clone() tree {
	c := tree{}
	for name, content := range f {
		c[name] = content
	}
	return c
}

// layoutOf returns an OCI layout with the images and indexes, each listed in index.json.
func layoutOf(t *testing.T, add ...mutate.Appendable) tree {
	t.Helper()
	dir := t.TempDir()
	path := must(ocilayout.Write(dir, empty.Index))
	for _, a := range add {
		switch a := a.(type) {
		case v1.Image:
			if err := path.AppendImage(a); err != nil {
				t.Fatal(err)
			}
		case v1.ImageIndex:
			if err := path.AppendIndex(a); err != nil {
				t.Fatal(err)
			}
		}
	}
	return treeOf(t, dir)
}

func treeOf(t *testing.T, dir string) tree {
	t.Helper()
	files := tree{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[name] = string(must(os.ReadFile(filepath.Join(dir, name))))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// dockerSaveOf returns the images as docker save of Docker 24 and older writes them.
func dockerSaveOf(images ...v1.Image) tree {
	files := tree{}
	var list []savedImage
	for i, image := range images {
		id := must(image.ConfigName()).Hex
		files[id+".json"] = string(must(image.RawConfigFile()))
		entry := savedImage{Config: id + ".json", RepoTags: []string{fmt.Sprintf("app:%d", i+1)}}
		for j, layer := range must(image.Layers()) {
			name := fmt.Sprintf("%064x/layer.tar", 16*i+j)
			files[name] = plain(layer)
			entry.Layers = append(entry.Layers, name)
		}
		list = append(list, entry)
	}
	files["manifest.json"] = string(must(json.Marshal(list)))
	return files
}

// modernDockerSaveOf returns what docker save of Docker 25 and later writes: an OCI layout of plain layers, and manifest.json.
func modernDockerSaveOf(image v1.Image) tree {
	files := tree{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`}
	blob := func(content string) v1.Descriptor {
		digest := digestOf([]byte(content))
		files["blobs/sha256/"+digest.Hex] = content
		return v1.Descriptor{Digest: digest, Size: int64(len(content))}
	}
	config := blob(string(must(image.RawConfigFile())))
	config.MediaType = types.OCIConfigJSON
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config}
	entry := savedImage{Config: "blobs/sha256/" + config.Digest.Hex, RepoTags: []string{"app:1"}}
	for _, layer := range must(image.Layers()) {
		desc := blob(plain(layer))
		desc.MediaType = types.OCIUncompressedLayer
		m.Layers = append(m.Layers, desc)
		entry.Layers = append(entry.Layers, "blobs/sha256/"+desc.Digest.Hex)
	}
	desc := blob(string(must(json.Marshal(m))))
	desc.MediaType = types.OCIManifestSchema1
	files["index.json"] = string(must(json.Marshal(v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{desc}})))
	files["manifest.json"] = string(must(json.Marshal([]savedImage{entry})))
	return files
}

func plain(layer v1.Layer) string {
	r := must(layer.Uncompressed())
	defer r.Close()
	return string(must(io.ReadAll(r)))
}

func (f tree) names() []string {
	var names []string
	for name := range f {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (f tree) tar() []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range f.names() {
		header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(f[name])), Typeflag: tar.TypeReg}
		if target, ok := strings.CutPrefix(f[name], "-> "); ok {
			header.Typeflag, header.Size, header.Linkname = tar.TypeSymlink, 0, target
		}
		if err := w.WriteHeader(header); err != nil {
			panic(err)
		}
		if header.Typeflag == tar.TypeReg {
			must(io.WriteString(w, f[name]))
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func gzipOf(data []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	must(w.Write(data))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// folder writes the files to a new folder and returns its path.
func (f tree) folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range f {
		mode := fs.FileMode(0o600)
		if plain, ok := strings.CutSuffix(name, "*"); ok {
			name, mode = plain, 0o700
		}
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, full)
		} else {
			err = os.WriteFile(full, []byte(content), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// write stores data under a name that does not reveal its format.
func write(t *testing.T, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func opened(t *testing.T, ref string) *Source {
	t.Helper()
	src, err := Open(context.Background(), ref, authn.NewMultiKeychain())
	return closing(t, src, err)
}

func closing(t *testing.T, src *Source, err error) *Source {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	return src
}
