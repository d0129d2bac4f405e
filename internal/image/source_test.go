package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

// refused returns the error of opening and pushing ref, and checks that nothing was tagged.
func refused(t *testing.T, ref string) error {
	t.Helper()
	s := newServer(t)
	src, err := Open(t.Context(), ref, authn.NewMultiKeychain())
	if err == nil {
		defer src.Close()
		repository := s.repository(t, "app")
		repository.client.backoff = 24 * time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if _, err = repository.Push(ctx, src, "1", PushOptions{}); ctx.Err() != nil {
			t.Error("a permanent error was retried")
		}
	}
	if err == nil {
		t.Fatal("the push succeeded")
	}
	if s.countWrites("manifests") != 0 {
		t.Errorf("the writes are %v", s.writes)
	}
	if strings.Contains(err.Error(), "http://") {
		t.Errorf("%q is about a request, not about the image", err)
	}
	return err
}

func TestOpenNamesWhatIsNotAnImage(t *testing.T) {
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
		"xz":              {"\xfd7zXZ\x00", "xz data, which has to be unpacked first"},
		"zstd'd text":     {zstdOf("hello"), "text/plain"},
		"zstd, truncated": {zstdOf("hello")[:12], "the compressed stream is truncated"},
		"zstd twice":      {zstdOf(zstdOf("hello")), "zstd data within compressed data"},
		"empty tar":       {hollow.String(), "an empty tar"},
		"gzip'd text":     {string(gzipOf([]byte("hello"))), "text/plain"},
		"gzip'd nothing":  {string(gzipOf(nil)), "an empty file"},
		"docker export":   {string(tree{"bin/sh": "x", "etc/passwd": "y"}.tar()), "a tar without manifest.json or index.json (it contains bin/sh, etc/passwd"},
		"no images saved": {string(tree{"manifest.json": "[]"}.tar()), "manifest.json lists no image"},
		"no images":       {string(tree{"index.json": `{"schemaVersion":2,"manifests":[]}`}.tar()), "index.json lists no image"},
		"other JSON":      {string(tree{"manifest.json": `{"a":1}`}.tar()), "manifest.json: it must not be a JSON object"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ref := write(t, []byte(tt.content))
			err := refused(t, ref)
			if _, reason, named := strings.Cut(err.Error(), ref); !named || !strings.Contains(reason, tt.want) {
				t.Errorf("error is %q, want %q and the file's name in it", err, tt.want)
			}
		})
	}
	t.Run("folder", func(t *testing.T) {
		if err := refused(t, t.TempDir()); !strings.HasSuffix(err.Error(), "a folder without the index.json of an OCI layout") {
			t.Errorf("error is %q", err)
		}
	})
	// https://github.com/actions/download-artifact#usage
	for _, inside := range []string{"image.tar", "image/image.tar", "layout/index.json"} {
		t.Run("folder of an artifact with "+inside, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(inside)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, inside), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			want := "set image: " + filepath.Join(dir, strings.TrimSuffix(inside, "/index.json"))
			if err := refused(t, dir); !strings.HasSuffix(err.Error(), want) {
				t.Errorf("error is %q, want %q at its end", err, want)
			}
		})
	}
}

func TestOpenReportsMissingFile(t *testing.T) {
	for _, ref := range []string{"image.tar", "./out/image.tar", "ghcr.io/org/app", filepath.Join(t.TempDir(), "image.tar")} {
		if _, err := Open(t.Context(), ref, authn.NewMultiKeychain()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), ref) {
			t.Errorf("%s: error is %v", ref, err)
		}
	}
	if _, err := Open(t.Context(), "", authn.NewMultiKeychain()); err == nil || !strings.Contains(err.Error(), "name a file") {
		t.Errorf("error is %v", err)
	}
	ref := newServer(t).host + "/app:1"
	if _, err := Open(t.Context(), ref, authn.NewMultiKeychain()); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), ref) {
		t.Errorf("error is %v", err)
	}
}

func TestOpenRefusesSeveralImages(t *testing.T) {
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
		"2 images: one, two; save only one":            renamed,
		"3 images: app:1, app:2, app:3; save only one": dockerSaveOf(randomImage(1), randomImage(1), randomImage(1)),
	} {
		if err := refused(t, write(t, files.tar())); !strings.Contains(err.Error(), want) {
			t.Errorf("error is %q, want %q in it", err, want)
		}
	}
}

func TestOpenAcceptsOneImageWithTwoNames(t *testing.T) {
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
