package image

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

func TestARegistryThatAlsoSpeaksHTTP2IsPushedTo(t *testing.T) {
	var newer atomic.Int64
	inner := memory.New(memory.Logger(log.New(io.Discard, "", 0)))
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			newer.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	before := remote.DefaultTransport
	defer func() { remote.DefaultTransport = before }()
	trusting := before.(*http.Transport).Clone()
	trusting.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	remote.DefaultTransport = trusting

	s := &server{host: web.Listener.Addr().String()}
	got, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, imageOf(20_000))), "1", How{})
	if err != nil {
		t.Fatal(err)
	}
	if newer.Load() > 0 {
		t.Errorf("%d requests share a connection with others", newer.Load())
	}
	s.names(t, "app:1", got)
}

func TestARequestWithoutAnAnswerIsMadeAgain(t *testing.T) {
	for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodPut} {
		s := newServer(t)
		var silent atomic.Bool
		s.on(func(_ http.ResponseWriter, r *http.Request) bool {
			silences := r.Method == method && silent.CompareAndSwap(false, true)
			if silences {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			}
			return silences
		})
		repo := s.repository(t, "app")
		repo.wire.mute = 500 * time.Millisecond
		got, err := repo.Push(t.Context(), opened(t, savedAs(t, imageOf(20_000))), "1", How{})
		if err != nil || !silent.Load() {
			t.Fatalf("%s: %v", method, err)
		}
		s.on(nil)
		s.names(t, "app:1", got)
	}
}

func TestAFaultWhoseReasonCannotBeReadIsSurvived(t *testing.T) {
	for what, fault := range map[string]func(http.ResponseWriter){
		"a page": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, strings.Repeat("<br>", 1<<16))
		},
		"a part of one": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "<html>")
			cut(w)
		},
	} {
		s := newServer(t)
		var answered atomic.Int64
		s.on(func(w http.ResponseWriter, r *http.Request) bool {
			faulty := r.Method == http.MethodPut && answered.Add(1) == 1
			if faulty {
				fault(w)
			}
			return faulty
		})
		got, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, imageOf(20_000))), "1", How{})
		if err != nil || answered.Load() < 2 {
			t.Fatalf("%s: %v", what, err)
		}
		s.on(nil)
		s.names(t, "app:1", got)
	}
}

func TestARegistryIsLeftAloneForAsLongAsItSays(t *testing.T) {
	for after, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "86400": longPause, "-3": 0, "soon": 0} {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{wait: time.Millisecond}
			began, tried := time.Now(), 0
			err := w.sure(t.Context(), func() error {
				if tried++; tried > 1 {
					return nil
				}
				return refusal(&http.Response{
					StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {after}}, Body: http.NoBody,
					Request: httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/v2/app/manifests/1", nil),
				}, []int{http.StatusCreated})
			})
			if took := time.Since(began).Truncate(10 * time.Millisecond); err != nil || tried != 2 || took != want {
				t.Errorf("Retry-After %q: %v after %d attempts and %s", after, err, tried, took)
			}
		})
	}
}

// Throttling lasts for seconds: https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html
func TestARegistryIsGivenHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, err := NewRepository("registry.example.com", "app", authn.Anonymous)
		if err != nil {
			t.Fatal(err)
		}
		began, tried := time.Now(), 0
		busy := &transport.Error{StatusCode: http.StatusTooManyRequests}
		err = repo.wire.sure(t.Context(), func() error { tried++; return busy })
		if took := time.Since(began); !errors.Is(err, busy) || tried != attempts || took < 15*time.Second || took > 31*time.Second {
			t.Errorf("%v after %d attempts and %s", err, tried, took)
		}
	})
}

func TestAFaultOfTheSourceIsNotTheTargets(t *testing.T) {
	for status, code := range map[int]string{http.StatusUnauthorized: "UNAUTHORIZED", http.StatusForbidden: "DENIED", http.StatusNotFound: "BLOB_UNKNOWN"} {
		from, to := newServer(t), newServer(t)
		if err := remote.Write(must(name.ParseReference(from.host+"/dev:1")), imageOf(20_000)); err != nil {
			t.Fatal(err)
		}
		src := opened(t, from.host+"/dev:1")
		from.on(func(w http.ResponseWriter, r *http.Request) bool {
			refuse(w, status, code)
			return true
		})
		keys := &spent{}
		repo := to.repository(t, "prod")
		repo.wire.auth = keys
		_, err := repo.Push(t.Context(), src, "1", How{})
		if err == nil || !strings.Contains(err.Error(), "read from "+from.host) || strings.Contains(err.Error(), to.host+"/v2/") {
			t.Errorf("%d: %v", status, err)
		}
		if keys.renewed > 0 || to.written("POST") > 2 || to.written("manifests") > 0 {
			t.Errorf("%d: renewed %d times, and the writes are %v", status, keys.renewed, to.writes)
		}
	}
}

func TestWhatTheRegistryMissesIsSaid(t *testing.T) {
	s := newServer(t)
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		misses := r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/")
		if misses {
			refuse(w, http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN")
		}
		return misses
	})
	_, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, imageOf(20_000))), "1", How{})
	if err == nil || errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "MANIFEST_BLOB_UNKNOWN") {
		t.Errorf("error is %v", err)
	}
}

// ECR takes over what is in another repository only where that is switched on.
func TestWhatIsThereIsNotTakenAgain(t *testing.T) {
	for _, to := range []string{"app", "prod"} {
		s := newServer(t)
		first, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, imageOf(20_000, 30_000))), "1", How{})
		if err != nil {
			t.Fatal(err)
		}
		src := opened(t, s.host+"/app@"+first.Digest)
		for m := range src.root.images() {
			for _, b := range m.blobs {
				b.open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("it is read") }
			}
		}
		s.forget()
		again, err := s.repository(t, to).Push(t.Context(), src, "2", How{})
		if err != nil || again.Digest != first.Digest || again.Reused != 3 || s.written("blobs") > 0 {
			t.Errorf("%s: %+v, %v, and the writes are %v", to, again, err, s.writes)
		}
	}
}
