package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func unmarshal(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatal(err)
	}
}

// refused opens and pushes ref, which must not work, and checks that nothing was tagged.
func refused(t *testing.T, ref string) error {
	t.Helper()
	s := newServer(t)
	src, err := Open(t.Context(), ref, authn.NewMultiKeychain())
	if err == nil {
		defer src.Close()
		start := time.Now()
		_, err = s.repository(t, "app").Push(t.Context(), src, "1", PushOptions{})
		if time.Since(start) > 900*time.Millisecond {
			t.Error("what cannot get better was tried again")
		}
	}
	if err == nil {
		t.Fatal("it was pushed")
	}
	if s.written("manifests") != 0 {
		t.Errorf("the writes are %v", s.writes)
	}
	if strings.Contains(err.Error(), "http://") {
		t.Errorf("%q speaks of a request, not of the image", err)
	}
	return err
}

func TestWhatIsNoImageIsSaidByWhatItIs(t *testing.T) {
	var hollow bytes.Buffer
	if err := tar.NewWriter(&hollow).Close(); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ content, want string }{
		"empty":           {"", "an empty file"},
		"zip":             {"PK\x03\x04rest", "a zip archive"},
		"program":         {"\x7fELF\x02", "ELF"},
		"text":            {"hello\n", "text/plain"},
		"long text":       {strings.Repeat("hello\n", 1000), "text/plain"},
		"JSON":            {`{"schemaVersion":2}`, "JSON"},
		"LFS pointer":     {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"},
		"zstd":            {"\x28\xb5\x2f\xfd", "zstd"},
		"empty tar":       {hollow.String(), "an empty tar"},
		"gzip'd text":     {string(gzipOf([]byte("hello"))), "text/plain"},
		"gzip'd nothing":  {string(gzipOf(nil)), "an empty file"},
		"docker export":   {string(tree{"bin/sh": "x", "etc/passwd": "y"}.tar()), "a tar without manifest.json or index.json (it holds bin/sh, etc/passwd"},
		"no images saved": {string(tree{"manifest.json": "[]"}.tar()), "manifest.json lists no image"},
		"no images":       {string(tree{"index.json": `{"schemaVersion":2,"manifests":[]}`}.tar()), "index.json lists no image"},
		"other JSON":      {string(tree{"manifest.json": `{"a":1}`}.tar()), "manifest.json: json"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ref := write(t, []byte(tt.content))
			err := refused(t, ref)
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), ref) {
				t.Errorf("error is %q, want %q and the file's name in it", err, tt.want)
			}
		})
	}
	t.Run("folder", func(t *testing.T) {
		if err := refused(t, t.TempDir()); !strings.Contains(err.Error(), "a folder without index.json") {
			t.Errorf("error is %q", err)
		}
	})
}

func TestWhatDoesNotExistIsSaidSo(t *testing.T) {
	for _, ref := range []string{"image.tar", "./out/image.tar", "ghcr.io/org/app", filepath.Join(t.TempDir(), "image.tar")} {
		if _, err := Open(t.Context(), ref, authn.NewMultiKeychain()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), ref) {
			t.Errorf("%s: error is %v", ref, err)
		}
	}
	if _, err := Open(t.Context(), "", authn.NewMultiKeychain()); err == nil || !strings.Contains(err.Error(), "no file") {
		t.Errorf("error is %v", err)
	}
	ref := newServer(t).host + "/app:1"
	if _, err := Open(t.Context(), ref, authn.NewMultiKeychain()); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), ref) {
		t.Errorf("error is %v", err)
	}
}

func TestSeveralImagesAreNamed(t *testing.T) {
	renamed := layoutOf(t, randomImage(1), randomImage(1))
	var index v1.IndexManifest
	unmarshal(t, renamed["index.json"], &index)
	index.Manifests[0].Annotations = map[string]string{"org.opencontainers.image.ref.name": "one"}
	index.Manifests[1].Annotations = map[string]string{"org.opencontainers.image.ref.name": "two"}
	for i := range index.Manifests {
		index.Manifests[i].Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	}
	renamed["index.json"] = string(must(json.Marshal(index)))
	for want, files := range map[string]tree{
		"2 images: one, two; save one":            renamed,
		"3 images: app:1, app:2, app:3; save one": dockerSaveOf(randomImage(1), randomImage(1), randomImage(1)),
	} {
		if err := refused(t, write(t, files.tar())); !strings.Contains(err.Error(), want) {
			t.Errorf("error is %q, want %q in it", err, want)
		}
	}
}

func TestOneImageUnderTwoNamesIsOne(t *testing.T) {
	files := layoutOf(t, randomImage(1))
	var index v1.IndexManifest
	unmarshal(t, files["index.json"], &index)
	index.Manifests = append(index.Manifests, index.Manifests[0])
	index.Manifests[1].Annotations = map[string]string{"org.opencontainers.image.ref.name": "latest"}
	files["index.json"] = string(must(json.Marshal(index)))
	if got, want := opened(t, write(t, files.tar())).Digest(), index.Manifests[0].Digest.String(); got != want {
		t.Errorf("digest is %s, want %s", got, want)
	}
}

// Every file of every kind of image is left out, changed and shortened in turn: the error names it each time.
func TestEveryDamagedFileIsNamed(t *testing.T) {
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
				continue // index.json, manifest.json and oci-layout carry no checksum; a missing OCI manifest is made up for by manifest.json
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

func TestATruncatedFileIsNeverPushed(t *testing.T) {
	image := randomImage(2)
	for name, data := range map[string][]byte{
		"docker save":         dockerSaveOf(image).tar(),
		"modern docker save":  modernDockerSaveOf(image).tar(),
		"OCI archive":         layoutOf(t, image).tar(),
		"docker save, gzip'd": gzipOf(dockerSaveOf(image).tar()),
		"OCI archive, gzip'd": gzipOf(layoutOf(t, image).tar()),
	} {
		t.Run(name, func(t *testing.T) {
			// The last two blocks of a tar and of gzip hold no content of an image.
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

func TestADamagedGzipStreamIsNeverPushed(t *testing.T) {
	data := gzipOf(layoutOf(t, randomImage(2)).tar())
	for cut := 1; cut < 20; cut++ {
		refused(t, write(t, []byte(flip(string(data), len(data)*cut/20))))
	}
}

func TestASpooledFileLeavesNothingBehind(t *testing.T) {
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

func TestOpenStopsWhenItIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	data := layoutOf(t, randomImage(1)).tar()
	for _, ref := range []string{write(t, data), write(t, gzipOf(data))} {
		if _, err := Open(ctx, ref, authn.NewMultiKeychain()); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	}
}

func TestALayerOtherThanTheConfigSaysIsRefused(t *testing.T) {
	image := randomImage(2)
	files := dockerSaveOf(image)
	var list []saved
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

func TestABlobIsCheckedWhileItIsRead(t *testing.T) {
	content := strings.Repeat("layer", 1000)
	for name, read := range map[string]string{
		"damaged":                         flip(content, 3000),
		"does not have the 5000 bytes of": content[:4999],
		"not have the 5000 bytes":         content + "x",
	} {
		b := &blob{
			Descriptor: v1.Descriptor{Digest: digestOf([]byte(content)), Size: int64(len(content))},
			name:       "layer 1 of 1",
			open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(read)), nil },
		}
		_, _, err := b.storeTo(t.Context(), io.Discard, Gzip, func(int) {})
		if err == nil || !strings.Contains(err.Error(), "layer 1 of 1: ") || !strings.Contains(err.Error(), name) || !errors.As(err, new(damage)) {
			t.Errorf("error is %v, want %q in it", err, name)
		}
	}
}

func TestOpenSeesWhatIsMissingOrShortInALayoutBeforeAnythingIsSent(t *testing.T) {
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

func TestALayerInZstdOfADockerSaveIsRefused(t *testing.T) {
	files := dockerSaveOf(randomImage(1))
	for name := range files {
		if strings.HasSuffix(name, "layer.tar") {
			files[name] = "\x28\xb5\x2f\xfd rest"
		}
	}
	if err := refused(t, write(t, files.tar())); !strings.Contains(err.Error(), "zstd") {
		t.Errorf("error is %q", err)
	}
}

func TestWhyABlobCannotBeReadIsSaid(t *testing.T) {
	content := strings.Repeat("content ", 100_000)
	for _, cause := range []error{errors.New("the disk is gone"), io.ErrUnexpectedEOF, fmt.Errorf("the disk is gone: %w", io.EOF)} {
		for _, c := range []Compression{Gzip, Zstd} {
			b := &blob{name: "layer", compress: true, diffID: digestOf([]byte(content)), open: func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader(content[:600_000]), iotest.ErrReader(cause))), nil
			}}
			if _, _, err := b.storeTo(t.Context(), io.Discard, c, func(int) {}); !errors.Is(err, cause) || !errors.As(err, new(damage)) {
				t.Errorf("%s: the error is %v, not %v", c, err, cause)
			}
		}
	}
}
