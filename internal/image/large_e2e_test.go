//go:build e2e

package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	largeLayer = 1 << 30
	largeCount = 3
	mostMemory = 64 << 20
)

// endless is a layer that is generated while it is read, so that it is never stored.
type endless struct {
	page  []byte
	seed  byte
	at, n int64
}

func newEndless(seed byte) *endless {
	return &endless{page: prose(1 << 20), seed: seed, n: largeLayer}
}

func (e *endless) Read(p []byte) (int, error) {
	if e.at == e.n {
		return 0, io.EOF
	}
	from := e.at % int64(len(e.page))
	n := copy(p[:min(int64(len(p)), e.n-e.at)], e.page[from:])
	if from == 0 {
		p[0] = byte(e.at>>20) ^ e.seed // all layers differ
	}
	e.at += int64(n)
	return n, nil
}

func (e *endless) Close() error { return nil }

// bottomless starts a registry that verifies blobs and stores only manifests.
func bottomless(t *testing.T) string {
	var mu sync.Mutex
	sums, manifests := map[string]string{}, map[string][]byte{}
	uploads := 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		switch {
		case r.Method == http.MethodPost:
			mu.Lock()
			uploads++
			w.Header().Set("Location", fmt.Sprintf("/v2/app/blobs/uploads/%d", uploads))
			mu.Unlock()
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodPatch:
			hash := sha256.New()
			if _, err := io.Copy(hash, r.Body); err != nil {
				return
			}
			mu.Lock()
			sums[name] = fmt.Sprintf("sha256:%x", hash.Sum(nil))
			mu.Unlock()
			w.Header().Set("Location", r.URL.Path)
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/"):
			mu.Lock()
			have := sums[name]
			mu.Unlock()
			if r.ContentLength != 0 { // the request that ends the upload sends a config
				content, _ := io.ReadAll(r.Body)
				have = digestOf(content).String()
			}
			if have != r.URL.Query().Get("digest") {
				refuse(w, http.StatusBadRequest, "DIGEST_INVALID")
				return
			}
			w.WriteHeader(http.StatusCreated)
		case r.Method == http.MethodPut:
			content, _ := io.ReadAll(r.Body)
			mu.Lock()
			manifests[name] = content
			mu.Unlock()
			w.WriteHeader(http.StatusCreated)
		case r.URL.Path == "/v2/":
		default:
			mu.Lock()
			content, ok := manifests[name]
			mu.Unlock()
			if !ok {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Content-Type", string(types.DockerManifestSchema2))
			w.Header().Set("Docker-Content-Digest", digestOf(content).String())
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			_, _ = w.Write(content)
		}
	}))
	t.Cleanup(web.Close)
	return strings.TrimPrefix(web.URL, "http://")
}

// A separate process pushes three layers of a gigabyte each, and its peak memory is measured.
func TestE2EPushOfThreeGigabytesTakesLittleMemory(t *testing.T) {
	if host := os.Getenv("ATTA_TEST_REGISTRY"); host != "" {
		pushLarge(t, host)
		return
	}
	for _, cores := range []string{"2", "64"} {
		command := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		command.Env = append(os.Environ(), "ATTA_TEST_REGISTRY="+bottomless(t), "GOMAXPROCS="+cores)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var kib int64
		_, _ = fmt.Sscanf(regexp.MustCompile(`VmHWM:\s*\d+`).FindString(string(out)), "VmHWM: %d", &kib)
		t.Logf("%s cores: %d MB", cores, kib>>10)
		if kib == 0 || kib<<10 > mostMemory {
			t.Errorf("on %s cores, the push takes %d MB", cores, kib>>10)
		}
	}
}

func pushLarge(t *testing.T, host string) {
	repo, err := NewRepository(host, "app", authn.Anonymous)
	if err != nil {
		t.Fatal(err)
	}
	config := []byte("{}")
	m := &manifest{blobs: []*blob{{
		Descriptor: v1.Descriptor{Digest: digestOf(config), Size: int64(len(config))}, name: "config", length: int64(len(config)),
		open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(string(config))), nil
		},
	}}}
	for i := range byte(largeCount) {
		hash := sha256.New()
		if _, err := io.Copy(hash, newEndless(i)); err != nil {
			t.Fatal(err)
		}
		m.blobs = append(m.blobs, &blob{
			name: "layer", compress: true, diffID: hashSum(hash), length: largeLayer,
			open: func(context.Context) (io.ReadCloser, error) { return newEndless(i), nil },
		})
	}
	got, err := repo.Push(t.Context(), &Source{root: m}, "1", PushOptions{})
	if err != nil || got.Bytes < 1<<20 {
		t.Fatalf("%+v, %v", got, err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", status)
}
