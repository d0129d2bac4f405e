package image

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func TestPushVerifiesAndReusesLayersOfRecentImage(t *testing.T) {
	s := newServer(t)
	repo := s.repository(t, "app")
	base := imageOf(200_000, 100_000)
	first, err := repo.Push(t.Context(), opened(t, savedAs(t, base)), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), first.Digest, "latest"); err != nil {
		t.Fatal(err)
	}
	next := must(mutate.AppendLayers(base, must(random.Layer(3000, types.DockerLayer))))
	s.resetCounts()
	second, err := repo.Push(t.Context(), opened(t, savedAs(t, next)), "2", PushOptions{Recent: []string{"none", "latest"}})
	if err != nil {
		t.Fatal(err)
	}
	if second.Reused != 2 || second.Bytes > 10_000 || s.countWrites("blobs/uploads") != 6 { // two layers, which are compressed while they are sent, and a config
		t.Errorf("%+v, and the writes are %v", second, s.writes)
	}
	s.checkIntact(t, "app:2")

	files := dockerSaveOf(next)
	for name, content := range files {
		if strings.HasSuffix(name, "layer.tar") && len(content) > 200_000 {
			files[name] = flip(content, 150_000)
		}
	}
	s.resetCounts()
	if _, err = repo.Push(t.Context(), opened(t, write(t, files.tar())), "3", PushOptions{Recent: []string{"latest"}}); err == nil || !strings.Contains(err.Error(), "as in the config") {
		t.Errorf("a damaged layer that the repository has: %v", err)
	}
	if s.countWrites("manifests") != 0 {
		t.Errorf("the writes are %v", s.writes)
	}
}

func TestPushIgnoresUnreadableRecentImage(t *testing.T) {
	s := newServer(t)
	repo := s.repository(t, "app")
	if _, err := repo.Push(t.Context(), opened(t, savedAs(t, imageOf(20_000))), "latest", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
		denied := r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
		if denied {
			refuse(w, http.StatusForbidden, "DENIED")
		}
		return denied
	})
	if _, err := repo.Push(t.Context(), opened(t, savedAs(t, imageOf(30_000))), "2", PushOptions{Recent: []string{"latest"}}); err != nil {
		t.Fatal(err)
	}
	s.interceptWith(nil)
	s.checkIntact(t, "app:2")
}

func TestPushOfUnchangedImageTakesFewRequests(t *testing.T) {
	for name, ref := range map[string]string{"docker save": savedAs(t, imageOf(50_000, 40_000)), "OCI": write(t, layoutOf(t, imageOf(50_000, 40_000)).tar())} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			repo := s.repository(t, "app")
			first, err := repo.Push(t.Context(), opened(t, ref), "1", PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range []string{"1", "2"} {
				s.resetCounts()
				again, err := repo.Push(t.Context(), opened(t, ref), tag, PushOptions{Recent: []string{"1"}})
				if err != nil || again.Digest != first.Digest || again.Bytes != 0 {
					t.Errorf("%+v, %v", again, err)
				}
				if s.requests > 6 {
					t.Errorf("tag %s took %d requests: %v", tag, s.requests, s.writes)
				}
			}
			s.checkIntact(t, "app:2")
		})
	}
}

// If the repository has an image with the same config, the local layers are not read: a host verifies what it pulls.
func TestPushDoesNotReadAnImageTheRegistryHas(t *testing.T) {
	s, image := newServer(t), imageOf(200_000, 100_000)
	repo := s.repository(t, "app")
	first, err := repo.Push(t.Context(), opened(t, savedAs(t, image)), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"1", "2"} {
		src := opened(t, savedAs(t, image))
		for m := range src.root.images() {
			for _, b := range m.blobs {
				b.open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("the layer is read") }
			}
		}
		var last PushProgress
		again, err := repo.Push(t.Context(), src, tag, PushOptions{Recent: []string{"1"}, Progress: func(m PushProgress) { last = m }})
		if err != nil || again.Digest != first.Digest || again.Reused != 3 || last.Done != last.Total || last.Total == 0 {
			t.Errorf("tag %s: %+v, %+v, %v", tag, again, last, err)
		}
	}
	s.checkIntact(t, "app:2")
}

func TestMediaTypeMayHaveACharset(t *testing.T) {
	s, image := newServer(t), imageOf(20_000)
	repo := s.repository(t, "app")
	if _, err := repo.Push(t.Context(), opened(t, savedAs(t, image)), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	first := s.checkIntact(t, "app:1")
	s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/manifests/1") {
			return false
		}
		w.Header().Set("Content-Type", string(first.MediaType)+"; charset=utf-8")
		_, _ = w.Write(first.Manifest)
		return true
	})
	if _, err := repo.Push(t.Context(), opened(t, savedAs(t, image)), "2", PushOptions{Recent: []string{"1"}}); err != nil {
		t.Fatal(err)
	}
	s.interceptWith(nil)
	if again := s.checkIntact(t, "app:2"); again.Digest != first.Digest || again.MediaType != first.MediaType {
		t.Errorf("%s of type %q, want %s of type %q", again.Digest, again.MediaType, first.Digest, first.MediaType)
	}
}

func TestPushSendsARepeatedLayerOnce(t *testing.T) {
	s, base := newServer(t), imageOf(50_000)
	twice := must(mutate.AppendLayers(base, must(base.Layers())[0]))
	if _, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, twice)), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := s.countWrites("PUT /v2/app/blobs"); n != 2 {
		t.Errorf("%d blobs were sent: %v", n, s.writes)
	}
	s.checkIntact(t, "app:1")
}
