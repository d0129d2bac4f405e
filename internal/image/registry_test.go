package image

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// server is a registry that counts requests and whose responses a test can replace.
type server struct {
	host string

	mu        sync.Mutex
	requests  int
	writes    []string                                          // method and path of every request except reads
	intercept func(w http.ResponseWriter, r *http.Request) bool // reports whether it responded
}

// The registry also logs wrong digests with package log.
func init() { log.SetOutput(io.Discard) }

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{}
	inner := memory.New(memory.Logger(log.New(io.Discard, "", 0)))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests++
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.writes = append(s.writes, r.Method+" "+r.URL.Path)
		}
		intercept := s.intercept
		s.mu.Unlock()
		if intercept == nil || !intercept(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(web.Close)
	s.host = strings.TrimPrefix(web.URL, "http://")
	return s
}

func (s *server) repository(t *testing.T, repository string) *Repository {
	t.Helper()
	r, err := NewRepository(s.host, repository, authn.Anonymous)
	if err != nil {
		t.Fatal(err)
	}
	r.client.backoff = 2 * time.Millisecond
	return r
}

// resetCounts resets the recorded writes and requests.
func (s *server) resetCounts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes, s.requests = nil, 0
}

func (s *server) countWrites(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, write := range s.writes {
		if strings.Contains(write, part) {
			n++
		}
	}
	return n
}

func (s *server) interceptWith(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// checkIntact reads back everything that ref names and checks every digest, size and diff_id.
func (s *server) checkIntact(t *testing.T, ref string) *remote.Descriptor {
	t.Helper()
	parsed, err := name.ParseReference(s.host + "/" + ref)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := remote.Get(parsed)
	if err != nil {
		t.Fatal(err)
	}
	if desc.MediaType.IsIndex() {
		index, err := desc.ImageIndex()
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index); err != nil {
			t.Errorf("%s is not intact: %v", ref, err)
		}
		return desc
	}
	if err := validate.Image(pulled(t, desc)); err != nil {
		t.Errorf("%s is not intact: %v", ref, err)
	}
	return desc
}

// checkPushed checks that ref names what was pushed, and that it is intact.
func (s *server) checkPushed(t *testing.T, ref string, pushed Pushed) {
	t.Helper()
	if desc := s.checkIntact(t, ref); desc.Digest.String() != pushed.Digest {
		t.Errorf("%s is %s, want %s", ref, desc.Digest, pushed.Digest)
	}
}

func pulled(t *testing.T, desc *remote.Descriptor) v1.Image {
	t.Helper()
	image, err := desc.Image()
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"errors":[{"code":"`+code+`","message":"as the test wants"}]}`)
}
