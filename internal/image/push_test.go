package image

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func TestPushAcceptsEverySource(t *testing.T) {
	image, index := randomImage(3), twoPlatforms()
	s := newServer(t)
	seed := func(repository string, push func(ref name.Reference) error) string {
		ref := must(name.ParseReference(s.host + "/" + repository))
		if err := push(ref); err != nil {
			t.Fatal(err)
		}
		return ref.Name()
	}
	single := seed("seed/single:1", func(ref name.Reference) error { return remote.Write(ref, image) })
	multi := seed("seed/multi:1", func(ref name.Reference) error { return remote.WriteIndex(ref, index) })

	written := filepath.Join(t.TempDir(), "written.tar")
	if err := tarball.WriteToFile(written, must(name.NewTag("app:1")), image); err != nil {
		t.Fatal(err)
	}
	nested := mutate.AppendManifests(twoPlatforms(), mutate.IndexAddendum{Add: twoPlatforms()})
	inIndexJSON := layoutOf(t, index)
	inIndexJSON["index.json"] = string(must(index.RawManifest()))
	amd64 := []string{"linux/amd64"}
	both := []string{"linux/amd64", "linux/arm64/v8"}

	tests := []struct {
		name, ref, kind string
		platforms       []string
		digest          string // digest that the source determines, if it does
		config          bool   // whether the image ID must not change
	}{
		{"old docker save", write(t, dockerSaveOf(image).tar()), "docker-save tar", amd64, "", true},
		{"old docker save, gzip", write(t, gzipOf(dockerSaveOf(image).tar())), "docker-save tar (gzip)", amd64, "", true},
		{"modern docker save", write(t, modernDockerSaveOf(image).tar()), "docker-save tar", amd64, "", true},
		{"modern docker save, gzip", write(t, gzipOf(modernDockerSaveOf(image).tar())), "docker-save tar (gzip)", amd64, "", true},
		{"docker save of gzip'd layers", written, "docker-save tar", amd64, "", true},
		{"OCI archive", write(t, layoutOf(t, image).tar()), "OCI archive", amd64, digestIn(image), true},
		{"OCI archive, gzip", write(t, gzipOf(layoutOf(t, image).tar())), "OCI archive (gzip)", amd64, digestIn(image), true},
		{"OCI archive of an index", write(t, layoutOf(t, index).tar()), "OCI archive", both, digestIn(index), false},
		{"OCI archive of an index in an index", write(t, layoutOf(t, nested).tar()), "OCI archive", append(both, both...), digestIn(nested), false},
		{"OCI archive with platforms in index.json", write(t, inIndexJSON.tar()), "OCI archive", both, digestIn(index), false},
		{"OCI layout", layoutOf(t, image).folder(t), "OCI layout", amd64, digestIn(image), true},
		{"OCI layout of an index", layoutOf(t, index).folder(t), "OCI layout", both, digestIn(index), false},
		{"registry reference by tag", single, "registry reference", amd64, digestIn(image), true},
		{"registry reference by digest", s.host + "/seed/multi@" + digestIn(index), "registry reference", both, digestIn(index), false},
		{"registry reference of an index", multi, "registry reference", both, digestIn(index), false},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := opened(t, tt.ref)
			if src.Kind() != tt.kind {
				t.Errorf("kind is %q, want %q", src.Kind(), tt.kind)
			}
			if diff := cmp.Diff(tt.platforms, src.Platforms()); diff != "" {
				t.Errorf("platforms (-want +got):\n%s", diff)
			}
			if src.Digest() != tt.digest {
				t.Errorf("digest before the push is %q, want %q", src.Digest(), tt.digest)
			}
			repository := "app" + string(rune('a'+i))
			got, err := s.repository(t, repository).Push(t.Context(), src, "1.0.0-dev", PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			desc := s.checkIntact(t, repository+":1.0.0-dev")
			want := Pushed{
				URI: s.host + "/" + repository + "@" + desc.Digest.String(), Tag: "1.0.0-dev",
				Digest: desc.Digest.String(), Uploaded: true, Bytes: got.Bytes, Reused: got.Reused, // the test registry shares blobs between repositories
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pushed (-want +got):\n%s", diff)
			}
			if tt.digest != "" && got.Digest != tt.digest {
				t.Errorf("digest is %s, want %s", got.Digest, tt.digest)
			}
			if tt.config {
				if have, want := must(pulled(t, desc).ConfigName()), must(image.ConfigName()); have != want {
					t.Errorf("image ID is %s, want %s", have, want)
				}
			}
			if src.Digest() != got.Digest {
				t.Errorf("the source's digest is %s after the push of %s", src.Digest(), got.Digest)
			}
		})
	}
}

func digestIn(m interface{ Digest() (v1.Hash, error) }) string { return must(m.Digest()).String() }

func TestDigestOfDockerSaveDoesNotDependOnItsFormat(t *testing.T) {
	image := randomImage(2)
	s := newServer(t)
	digests := map[string]bool{}
	for i, data := range [][]byte{dockerSaveOf(image).tar(), modernDockerSaveOf(image).tar(), gzipOf(dockerSaveOf(image).tar())} {
		got, err := s.repository(t, "app").Push(t.Context(), opened(t, write(t, data)), "1", PushOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got.Uploaded != (i == 0) {
			t.Errorf("push %d: uploaded is %v", i, got.Uploaded)
		}
		digests[got.Digest] = true
	}
	if len(digests) != 1 {
		t.Errorf("the same image has the digests %v", digests)
	}
}

func TestPushCompressesTheLayersOfADockerSave(t *testing.T) {
	s := newServer(t)
	got, err := s.repository(t, "app").Push(t.Context(), opened(t, write(t, modernDockerSaveOf(randomImage(1)).tar())), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range must(pulled(t, s.checkIntact(t, "app@"+got.Digest)).Layers()) {
		if have := must(layer.MediaType()); have != types.DockerLayer {
			t.Errorf("a layer is %s, want %s", have, types.DockerLayer)
		}
		r := must(layer.Compressed())
		head := make([]byte, 2)
		if _, err := r.Read(head); err != nil || [2]byte(head) != gzipMagic {
			t.Errorf("a layer starts with %x, %v", head, err)
		}
		_ = r.Close()
	}
}

func TestPushFollowsLayerLinksOfOldDockerVersions(t *testing.T) {
	image := randomImage(2)
	files := dockerSaveOf(must(mutate.AppendLayers(image, must(image.Layers())[0])))
	var list []savedImage
	unmarshal(t, files["manifest.json"], &list)
	files[list[0].Layers[2]] = "-> ../" + list[0].Layers[0]
	s := newServer(t)
	if _, err := s.repository(t, "app").Push(t.Context(), opened(t, write(t, files.tar())), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	s.checkIntact(t, "app:1")
}

func TestPushReadsNamesWithLeadingDot(t *testing.T) {
	files := tree{}
	for name, content := range layoutOf(t, randomImage(1)) {
		files["./"+name] = content
	}
	s := newServer(t)
	if _, err := s.repository(t, "app").Push(t.Context(), opened(t, write(t, files.tar())), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	s.checkIntact(t, "app:1")
}

func TestPushOfPartialIndexTakesThePlatformPresent(t *testing.T) {
	index := twoPlatforms()
	there := must(index.Image(must(index.IndexManifest()).Manifests[0].Digest))
	files := modernDockerSaveOf(there)
	for name, content := range layoutOf(t, index) {
		if name == "index.json" || strings.Contains(content, `"manifests"`) {
			files[name] = content
		}
	}
	src := opened(t, write(t, files.tar()))
	if diff := cmp.Diff([]string{"linux/amd64"}, src.Platforms()); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	s := newServer(t)
	if _, err := s.repository(t, "app").Push(t.Context(), src, "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	s.checkIntact(t, "app:1")
}

func TestPushExplainsRefusals(t *testing.T) {
	tests := map[string]struct {
		method, code string
		status       int
		want         string
		is           error
	}{
		"no repository":    {http.MethodPost, "NAME_UNKNOWN", http.StatusNotFound, "/app:1", ErrNoRepository},
		"bad credentials":  {http.MethodGet, "", http.StatusUnauthorized, "refuses the credentials", nil},
		"no right to push": {http.MethodPost, "DENIED", http.StatusForbidden, "denies access", ErrDenied},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == tt.method {
					refuse(w, tt.status, tt.code)
				}
				return r.Method == tt.method
			})
			_, err := s.repository(t, "app").Push(t.Context(), opened(t, write(t, layoutOf(t, randomImage(1)).tar())), "1", PushOptions{})
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error is %v", err)
			}
			if s.countWrites("PUT") != 0 {
				t.Errorf("the writes are %v", s.writes)
			}
		})
	}
}

func TestCancelledPushWritesNoTag(t *testing.T) {
	s := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.interceptWith(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			cancel()
		}
		return false
	})
	_, err := s.repository(t, "app").Push(ctx, opened(t, write(t, dockerSaveOf(randomImage(3)).tar())), "1", PushOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if s.countWrites("manifests") != 0 {
		t.Errorf("the writes are %v", s.writes)
	}
}

func TestPushMountsLayersOfTheSameRegistry(t *testing.T) {
	s, image := newServer(t), randomImage(2)
	if err := remote.Write(must(name.ParseReference(s.host+"/dev:1")), image); err != nil {
		t.Fatal(err)
	}
	// The test's registry shares blobs between repositories; a real one only mounts them on request.
	var mounted atomic.Int64
	s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method == http.MethodHead && strings.HasPrefix(r.URL.Path, "/v2/prod/blobs/"):
			w.WriteHeader(http.StatusNotFound)
		case r.Method == http.MethodPost && r.URL.Query().Get("mount") != "" && r.URL.Query().Get("from") == "dev":
			mounted.Add(1)
			w.WriteHeader(http.StatusCreated)
		default:
			return false
		}
		return true
	})
	got, err := s.repository(t, "prod").Push(t.Context(), opened(t, s.host+"/dev:1"), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != digestIn(image) || got.Bytes != 0 || mounted.Load() != 3 {
		t.Errorf("pushed %+v, %d blobs mounted, want 3", got, mounted.Load())
	}
	s.checkIntact(t, "prod:1")
}

func TestPushCopiesFromAnotherRegistry(t *testing.T) {
	from, to, index := newServer(t), newServer(t), twoPlatforms()
	if err := remote.WriteIndex(must(name.ParseReference(from.host+"/dev:1")), index); err != nil {
		t.Fatal(err)
	}
	got, err := to.repository(t, "prod").Push(t.Context(), opened(t, from.host+"/dev:1"), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != digestIn(index) || got.Bytes == 0 {
		t.Errorf("pushed %+v", got)
	}
	to.checkIntact(t, "prod:1")
}

func TestPushReportsProgressToTheEnd(t *testing.T) {
	var last, end int64
	progress := func(m PushProgress) {
		if m.Done < last || m.Done > m.Total {
			t.Errorf("%d of %d after %d", m.Done, m.Total, last)
		}
		last, end = m.Done, m.Total
	}
	s := newServer(t)
	got, err := s.repository(t, "app").Push(t.Context(), opened(t, write(t, dockerSaveOf(randomImage(3)).tar())), "1", PushOptions{Progress: progress})
	if err != nil {
		t.Fatal(err)
	}
	if last == 0 || last != end || got.Bytes == 0 {
		t.Errorf("the last progress is %d of %d, and %d bytes were sent", last, end, got.Bytes)
	}
}
