package image

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestPushSendsNothingWhenTheTagNamesTheImage(t *testing.T) {
	for name, files := range map[string]tree{"docker save": dockerSaveOf(randomImage(2)), "OCI": layoutOf(t, twoPlatforms())} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			ref := write(t, files.tar())
			first, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if first.Bytes == 0 || s.countWrites("") == 0 {
				t.Fatalf("the first push sent %d bytes in %d requests", first.Bytes, s.countWrites(""))
			}
			s.resetCounts()
			again, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			first.Uploaded, first.Bytes, first.Reused = false, 0, again.Reused
			if diff := cmp.Diff(first, again); diff != "" {
				t.Errorf("second push (-want +got):\n%s", diff)
			}
			if n := s.countWrites(""); n != 0 {
				t.Errorf("%d requests wrote to the registry: %v", n, s.writes)
			}
		})
	}
}

func TestPushRefusesATagThatNamesAnotherImage(t *testing.T) {
	s := newServer(t)
	repo := s.repository(t, "app")
	first, err := repo.Push(t.Context(), opened(t, write(t, layoutOf(t, randomImage(1)).tar())), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.resetCounts()
	other := opened(t, write(t, dockerSaveOf(randomImage(1)).tar()))
	_, err = repo.Push(t.Context(), other, "1", PushOptions{})
	var conflict *TagConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("error is %v", err)
	}
	want := TagConflictError{Ref: s.host + "/app:1", Have: first.Digest, Want: other.Digest()}
	if diff := cmp.Diff(want, *conflict); diff != "" {
		t.Errorf("conflict (-want +got):\n%s", diff)
	}
	for _, part := range []string{want.Ref, want.Have, want.Want} {
		if part == "" || !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %q", err, part)
		}
	}
	if n := s.countWrites(""); n != 0 {
		t.Errorf("%d requests wrote to the registry", n)
	}
}

func TestPushWritesTheTagLast(t *testing.T) {
	s := newServer(t)
	if _, err := s.repository(t, "app").Push(t.Context(), opened(t, write(t, layoutOf(t, twoPlatforms()).tar())), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if last := s.writes[len(s.writes)-1]; last != "PUT /v2/app/manifests/1" || s.countWrites("manifests/1") != 1 {
		t.Errorf("the writes are %v", s.writes)
	}
}

// race makes another push write the tag between our GET and our PUT.
func race(t *testing.T, s *server, winner v1.Image) {
	t.Helper()
	var raced atomic.Bool
	s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/manifests/1") || raced.Swap(true) {
			return false
		}
		if err := remote.Write(must(name.ParseReference(s.host+"/app:1")), winner); err != nil {
			t.Error(err)
		}
		refuse(w, http.StatusBadRequest, "TAG_INVALID")
		return true
	})
}

func TestPushSucceedsWhenARacingPushWroteTheSameImage(t *testing.T) {
	s, image := newServer(t), randomImage(1)
	race(t, s, image)
	if _, err := s.repository(t, "app").Push(t.Context(), opened(t, write(t, layoutOf(t, image).tar())), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestPushNamesBothImagesWhenARacingPushWroteAnother(t *testing.T) {
	s, image, winner := newServer(t), randomImage(1), randomImage(1)
	race(t, s, winner)
	_, err := s.repository(t, "app").Push(t.Context(), opened(t, write(t, layoutOf(t, image).tar())), "1", PushOptions{})
	var conflict *TagConflictError
	if !errors.As(err, &conflict) || conflict.Have != digestIn(winner) || conflict.Want != digestIn(image) {
		t.Errorf("error is %v", err)
	}
}

func TestPushVerifiesTheTagItWrote(t *testing.T) {
	s, other := newServer(t), randomImage(1)
	s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/manifests/1") {
			return false
		}
		s.interceptWith(nil)
		if err := remote.Write(must(name.ParseReference(s.host+"/app:1")), other); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusCreated)
		return true
	})
	_, err := s.repository(t, "app").Push(t.Context(), opened(t, write(t, layoutOf(t, randomImage(1)).tar())), "1", PushOptions{})
	if err == nil || !strings.Contains(err.Error(), "verify push") {
		t.Errorf("error is %v", err)
	}
}

func TestTagMovesAnAlias(t *testing.T) {
	s := newServer(t)
	repo := s.repository(t, "app")
	for _, files := range []tree{layoutOf(t, randomImage(1)), layoutOf(t, twoPlatforms())} {
		src := opened(t, write(t, files.tar()))
		pushed, err := repo.Push(t.Context(), src, src.Digest()[7:20], PushOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := repo.Tag(t.Context(), pushed.Digest, "latest-dev", "dev"); err != nil {
			t.Fatal(err)
		}
		for _, tag := range []string{"latest-dev", "dev"} {
			if got, err := repo.Resolve(t.Context(), tag); err != nil || got != pushed.Digest {
				t.Errorf("%s is %s, %v; want %s", tag, got, err, pushed.Digest)
			}
		}
	}
}

func TestTagAndResolveReportWhatIsMissing(t *testing.T) {
	repo := newServer(t).repository(t, "app")
	absent := "sha256:" + strings.Repeat("a", 64)
	for _, ref := range []string{"1", absent} {
		if _, err := repo.Resolve(t.Context(), ref); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), ref) {
			t.Errorf("resolving %s: error is %v", ref, err)
		}
	}
	if err := repo.Tag(t.Context(), absent, "latest"); !errors.Is(err, ErrNotFound) {
		t.Errorf("tagging: error is %v", err)
	}
	if _, err := repo.Resolve(t.Context(), "not a tag"); err == nil || !strings.Contains(err.Error(), "not a tag") {
		t.Errorf("error is %v", err)
	}
}
