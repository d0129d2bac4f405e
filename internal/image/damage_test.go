package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Every file of every kind of image is removed, changed and truncated in turn: the error names it each time.
func TestOpenNamesTheDamagedFile(t *testing.T) {
	image := randomImage(2)
	kinds := map[string]tree{
		"old docker save":    dockerSaveOf(image),
		"modern docker save": modernDockerSaveOf(image),
		"OCI":                layoutOf(t, twoPlatforms()),
	}
	damages := map[string]func(files tree, name string){
		"missing":   func(files tree, name string) { delete(files, name) },
		"flipped":   func(files tree, name string) { files[name] = flip(files[name], len(files[name])/2) },
		"shortened": func(files tree, name string) { files[name] = files[name][:len(files[name])-1] },
		"longer":    func(files tree, name string) { files[name] += " " },
		"empty":     func(files tree, name string) { files[name] = "" },
	}
	for kind, files := range kinds {
		manifest := ""
		if kind == "modern docker save" {
			var index v1.IndexManifest
			unmarshal(t, files["index.json"], &index)
			manifest = index.Manifests[0].Digest.Hex
		}
		for _, name := range files.names() {
			if !strings.Contains(name, "/") && !strings.HasSuffix(name, "0.json") && len(name) < 64 || manifest != "" && strings.Contains(name, manifest) {
				continue // index.json, manifest.json and oci-layout have no checksum; manifest.json replaces a missing OCI manifest
			}
			for damage, apply := range damages {
				t.Run(kind+"/"+damage+"/"+name, func(t *testing.T) {
					bad := files.clone()
					apply(bad, name)
					short := strings.TrimSuffix(filepath.Base(name), ".json")
					if short == "layer.tar" {
						short = name
					}
					for _, ref := range []string{write(t, bad.tar()), bad.folder(t)} {
						if err := refused(t, ref); !strings.Contains(err.Error(), short) {
							t.Errorf("error is %q, want %q in it", err, short)
						}
					}
				})
			}
		}
	}
}

func flip(s string, at int) string {
	b := []byte(s)
	b[at] ^= 1
	return string(b)
}

func TestPushRefusesTruncatedFile(t *testing.T) {
	image := randomImage(2)
	for name, data := range map[string][]byte{
		"docker save":         dockerSaveOf(image).tar(),
		"modern docker save":  modernDockerSaveOf(image).tar(),
		"OCI archive":         layoutOf(t, image).tar(),
		"docker save, gzip'd": gzipOf(dockerSaveOf(image).tar()),
		"OCI archive, gzip'd": gzipOf(layoutOf(t, image).tar()),
	} {
		t.Run(name, func(t *testing.T) {
			// The last two blocks of a tar and of gzip contain nothing of the image.
			for cut := 1; cut < 20; cut++ {
				size := (len(data) - 2048) * cut / 20
				err := refused(t, write(t, data[:size]))
				if !strings.Contains(err.Error(), "truncated") {
					t.Errorf("cut at %d of %d: error is %q", size, len(data), err)
				}
			}
		})
	}
}

func TestPushRefusesDamagedGzip(t *testing.T) {
	data := gzipOf(layoutOf(t, randomImage(2)).tar())
	for cut := 1; cut < 20; cut++ {
		refused(t, write(t, []byte(flip(string(data), len(data)*cut/20))))
	}
}

func TestSpoolLeavesNoTemporaryFile(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	src, err := Open(t.Context(), write(t, gzipOf(layoutOf(t, randomImage(1)).tar())), authn.NewMultiKeychain())
	if err != nil {
		t.Fatal(err)
	}
	if left := must(os.ReadDir(temp)); len(left) != 0 {
		t.Errorf("%v is there while the source is open", left)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
}

func TestPushRefusesLayerThatDiffersFromConfig(t *testing.T) {
	image := randomImage(2)
	files := dockerSaveOf(image)
	var list []savedImage
	unmarshal(t, files["manifest.json"], &list)
	list[0].Layers[0], list[0].Layers[1] = list[0].Layers[1], list[0].Layers[0]
	files["manifest.json"] = string(must(json.Marshal(list)))
	err := refused(t, write(t, files.tar()))
	if want := must(must(image.Layers())[0].DiffID()).String(); !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "layer") {
		t.Errorf("error is %q", err)
	}
	list[0].Layers = list[0].Layers[:1]
	files["manifest.json"] = string(must(json.Marshal(list)))
	if err := refused(t, write(t, files.tar())); !strings.Contains(err.Error(), "lists 1 layers, the config 2") {
		t.Errorf("error is %q", err)
	}
}

func TestBlobIsVerifiedWhileRead(t *testing.T) {
	content := strings.Repeat("layer", 1000)
	for name, read := range map[string]string{
		"damaged":                     flip(content, 3000),
		"it has 4999 bytes, not 5000": content[:4999],
		"it has 5001 bytes, not 5000": content + "x",
	} {
		b := &blob{
			Descriptor: v1.Descriptor{Digest: digestOf([]byte(content)), Size: int64(len(content))},
			name:       "layer 1 of 1",
			open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(read)), nil },
		}
		_, _, err := b.storeTo(t.Context(), io.Discard, Gzip, func(int) {})
		if err == nil || !strings.Contains(err.Error(), "layer 1 of 1: ") || !strings.Contains(err.Error(), name) || !errors.As(err, new(contentError)) {
			t.Errorf("error is %v, want %q in it", err, name)
		}
	}
}

func TestOpenRefusesIncompleteLayout(t *testing.T) {
	image := randomImage(1)
	layer := "blobs/sha256/" + must(must(image.Layers())[0].Digest()).Hex
	files := layoutOf(t, image)
	for want, content := range map[string]string{"it has 10 bytes": "0123456789", "it is missing": ""} {
		files[layer] = content
		if content == "" {
			delete(files, layer)
		}
		if _, err := Open(t.Context(), files.folder(t), authn.NewMultiKeychain()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q in it", err, want)
		}
	}
}

func TestPushExplainsWhyABlobCannotBeRead(t *testing.T) {
	content := strings.Repeat("content ", 100_000)
	for _, cause := range []error{errors.New("the disk is gone"), io.ErrUnexpectedEOF, fmt.Errorf("the disk is gone: %w", io.EOF)} {
		for _, c := range []Compression{Gzip, Zstd} {
			b := &blob{name: "layer", compress: true, diffID: digestOf([]byte(content)), open: func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader(content[:600_000]), iotest.ErrReader(cause))), nil
			}}
			if _, _, err := b.storeTo(t.Context(), io.Discard, c, func(int) {}); !errors.Is(err, cause) || !errors.As(err, new(contentError)) {
				t.Errorf("%s: the error is %v, not %v", c, err, cause)
			}
		}
	}
}
