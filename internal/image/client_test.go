package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func TestRefusalWithUnreadableBodyIsRetried(t *testing.T) {
	for what, fault := range map[string]func(http.ResponseWriter){
		"a page": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, strings.Repeat("<br>", 1<<16))
		},
		"a part of one": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "<html>")
			resetConnection(w)
		},
	} {
		s := newServer(t)
		var answered atomic.Int64
		s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
			faulty := r.Method == http.MethodPut && answered.Add(1) == 1
			if faulty {
				fault(w)
			}
			return faulty
		})
		got, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, imageOf(20_000))), "1", PushOptions{})
		if err != nil || answered.Load() < 2 {
			t.Fatalf("%s: %v", what, err)
		}
		s.interceptWith(nil)
		s.checkPushed(t, "app:1", got)
	}
}

// Throttling lasts for seconds: https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html
func TestRetriesLastHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, err := NewRepository("registry.example.com", "app", authn.Anonymous)
		if err != nil {
			t.Fatal(err)
		}
		began, tried := time.Now(), 0
		busy := &transport.Error{StatusCode: http.StatusTooManyRequests}
		err = repo.client.retry(t.Context(), func() error { tried++; return busy })
		if took := time.Since(began); !errors.Is(err, busy) || tried != maxAttempts || took < 15*time.Second || took > 31*time.Second {
			t.Errorf("%v after %d attempts and %s", err, tried, took)
		}
	})
}

func TestErrorOfSourceRegistryIsNotBlamedOnTarget(t *testing.T) {
	for status, code := range map[int]string{http.StatusUnauthorized: "UNAUTHORIZED", http.StatusForbidden: "DENIED", http.StatusNotFound: "BLOB_UNKNOWN"} {
		from, to := newServer(t), newServer(t)
		if err := remote.Write(must(name.ParseReference(from.host+"/dev:1")), imageOf(20_000)); err != nil {
			t.Fatal(err)
		}
		src := opened(t, from.host+"/dev:1")
		from.interceptWith(func(w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, status, code)
			return true
		})
		keys := &expiringLogin{}
		repo := to.repository(t, "prod")
		repo.client.auth = keys
		_, err := repo.Push(t.Context(), src, "1", PushOptions{})
		if err == nil || !strings.Contains(err.Error(), "read from "+from.host) || strings.Contains(err.Error(), to.host+"/v2/") {
			t.Errorf("%d: %v", status, err)
		}
		if keys.renewed > 0 || to.countWrites("POST") > 2 || to.countWrites("manifests") > 0 {
			t.Errorf("%d: renewed %d times, and the writes are %v", status, keys.renewed, to.writes)
		}
	}
}

// The connection to the source breaks in the middle of a blob, or delivers other bytes.
func TestBlobReadIsRetriedAfterSourceFails(t *testing.T) {
	for what, fault := range map[string]func(http.ResponseWriter, []byte){
		"reset": func(w http.ResponseWriter, content []byte) {
			_, _ = w.Write(content[:len(content)/2])
			_ = http.NewResponseController(w).Flush()
			resetConnection(w)
		},
		"other bytes": func(w http.ResponseWriter, content []byte) {
			content[len(content)/2] ^= 1
			_, _ = w.Write(content)
		},
		"500": func(w http.ResponseWriter, _ []byte) { refuse(w, http.StatusInternalServerError, "UNKNOWN") },
	} {
		t.Run(what, func(t *testing.T) {
			from, to, image := newServer(t), newServer(t), imageOf(300_000)
			if err := remote.Write(must(name.ParseReference(from.host+"/dev:1")), image); err != nil {
				t.Fatal(err)
			}
			layer := must(must(image.Layers())[0].Digest())
			content := must(io.ReadAll(must(must(image.Layers())[0].Compressed())))
			src := opened(t, from.host+"/dev:1")
			var met atomic.Bool
			from.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
				meets := strings.HasSuffix(r.URL.Path, layer.String()) && r.Method == http.MethodGet && met.CompareAndSwap(false, true)
				if meets {
					w.Header().Set("Content-Length", strconv.Itoa(len(content)))
					fault(w, bytes.Clone(content))
				}
				return meets
			})
			got, err := to.repository(t, "prod").Push(t.Context(), src, "1", PushOptions{})
			if err != nil || !met.Load() {
				t.Fatal(err)
			}
			to.checkPushed(t, "prod:1", got)
		})
	}
}

func TestRefusedUploadDoesNotWaitForSource(t *testing.T) {
	from, to := newServer(t), newServer(t)
	if err := remote.Write(must(name.ParseReference(from.host+"/dev:1")), imageOf(300_000)); err != nil {
		t.Fatal(err)
	}
	src := opened(t, from.host+"/dev:1")
	from.interceptWith(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	to.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			refuse(w, http.StatusForbidden, "DENIED")
		}
		return r.Method == http.MethodPatch
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := to.repository(t, "prod").Push(ctx, src, "1", PushOptions{}); err == nil || !strings.Contains(err.Error(), "DENIED") {
		t.Errorf("error is %v", err)
	}
}

// ECR reports an expired token in the body of a 403, which a response to HEAD lacks.
func TestExpiredTokenIsRenewedWhenHEADIsForbidden(t *testing.T) {
	s := newServer(t)
	s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
		_, password, ok := r.BasicAuth()
		switch {
		case !ok:
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
		case password == "0" && (r.Method == http.MethodHead || r.Method == http.MethodPost):
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}`)
		default:
			return false
		}
		return true
	})
	auth := &expiringLogin{}
	repo := s.repository(t, "app")
	repo.client.auth = auth
	got, err := repo.Push(t.Context(), opened(t, layoutOf(t, imageOf(20_000)).folder(t)), "1", PushOptions{})
	if err != nil || auth.renewed == 0 {
		t.Fatalf("%v, renewed %d times", err, auth.renewed)
	}
	s.interceptWith(nil)
	s.checkPushed(t, "app:1", got)
}

func TestEachAttemptSendsOneRequest(t *testing.T) {
	s := newServer(t)
	requested := map[string]int{}
	var mu sync.Mutex
	s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodHead {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		requested[r.URL.Path]++
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	if _, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, imageOf(20_000))), "1", PushOptions{}); err == nil {
		t.Error("the push succeeds")
	}
	for path, n := range requested {
		if n != maxAttempts {
			t.Errorf("%s was requested %d times, want %d", path, n, maxAttempts)
		}
	}
	if len(requested) == 0 {
		t.Error("nothing was requested")
	}
}

func TestPushSendsEmptyBlob(t *testing.T) {
	s := newServer(t)
	image := must(mutate.AppendLayers(imageOf(20_000), static.NewLayer(nil, types.DockerLayer)))
	got, err := s.repository(t, "app").Push(t.Context(), opened(t, layoutOf(t, image).folder(t)), "1", PushOptions{})
	if err != nil || got.Digest != must(image.Digest()).String() {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestPushReportsMissingRepository(t *testing.T) {
	for _, code := range []string{"NAME_UNKNOWN", "NOT_FOUND"} {
		s := newServer(t)
		s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				refuse(w, http.StatusNotFound, code)
			}
			return r.Method == http.MethodPost
		})
		_, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, imageOf(20_000))), "1", PushOptions{})
		if !errors.Is(err, ErrNoRepository) {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestPushReportsBlobMissingFromRegistry(t *testing.T) {
	s := newServer(t)
	s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
		misses := r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/")
		if misses {
			refuse(w, http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN")
		}
		return misses
	})
	_, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, imageOf(20_000))), "1", PushOptions{})
	if err == nil || errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "MANIFEST_BLOB_UNKNOWN") {
		t.Errorf("error is %v", err)
	}
}

// ECR mounts blobs of another repository only if blob mounting is enabled.
func TestPushReusesBlobsOfTheRepository(t *testing.T) {
	for _, to := range []string{"app", "prod"} {
		s := newServer(t)
		first, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, imageOf(20_000, 30_000))), "1", PushOptions{})
		if err != nil {
			t.Fatal(err)
		}
		src := opened(t, s.host+"/app@"+first.Digest)
		for m := range src.root.images() {
			for _, b := range m.blobs {
				b.open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("the blob is read") }
			}
		}
		s.resetCounts()
		again, err := s.repository(t, to).Push(t.Context(), src, "2", PushOptions{})
		if err != nil || again.Digest != first.Digest || again.Reused != 3 || s.countWrites("blobs") > 0 {
			t.Errorf("%s: %+v, %v, and the writes are %v", to, again, err, s.writes)
		}
	}
}
