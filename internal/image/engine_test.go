package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// imageOf has a layer of each size, and is for linux/amd64.
func imageOf(sizes ...int64) v1.Image {
	image := randomImage(0)
	for _, size := range sizes {
		image = must(mutate.AppendLayers(image, must(random.Layer(size, types.DockerLayer))))
	}
	return image
}

// saved is a docker save of image in a file.
func savedAs(t *testing.T, image v1.Image) string {
	t.Helper()
	return write(t, dockerSaveOf(image).tar())
}

func TestTheDigestIsTheSameWhateverTheCores(t *testing.T) {
	text := func() io.ReadCloser { // compressible, over many blocks
		r := rand.New(rand.NewPCG(1, 2))
		var b strings.Builder
		for b.Len() < 5<<20 {
			fmt.Fprintf(&b, "%d ", r.IntN(1000))
		}
		return io.NopCloser(strings.NewReader(b.String()))
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []Compression{Gzip, Zstd} {
		digests := map[v1.Hash]int{}
		for _, cores := range []int{1, 2, 4, 16} {
			runtime.GOMAXPROCS(cores)
			b := &blob{name: "layer", compress: true, open: func(context.Context) (io.ReadCloser, error) { return text(), nil }}
			content := text()
			all := must(io.ReadAll(content))
			b.diffID = digestOf(all)
			digest, size, err := b.storeTo(t.Context(), io.Discard, c, func(int) {})
			if err != nil || size == 0 || size > int64(len(all))*2/3 {
				t.Fatalf("%s: %d bytes of %d, %v", c, size, len(all), err)
			}
			digests[digest]++
		}
		if len(digests) != 1 {
			t.Errorf("%s: the same layer has the digests %v", c, digests)
		}
	}
}

func TestLayersOfANearImageAreReadAndNotSent(t *testing.T) {
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
	s.forget()
	second, err := repo.Push(t.Context(), opened(t, savedAs(t, next)), "2", PushOptions{RecentTags: []string{"none", "latest"}})
	if err != nil {
		t.Fatal(err)
	}
	if second.Reused != 2 || second.Bytes > 10_000 || s.written("blobs/uploads") != 6 { // a layer that is compressed on the way and a config that is not
		t.Errorf("%+v, and the writes are %v", second, s.writes)
	}
	s.valid(t, "app:2")

	files := dockerSaveOf(next)
	for name, content := range files {
		if strings.HasSuffix(name, "layer.tar") && len(content) > 200_000 {
			files[name] = flip(content, 150_000)
		}
	}
	s.forget()
	if _, err = repo.Push(t.Context(), opened(t, write(t, files.tar())), "3", PushOptions{RecentTags: []string{"latest"}}); err == nil || !strings.Contains(err.Error(), "the config says") {
		t.Errorf("a damaged layer that was there before: %v", err)
	}
	if s.written("manifests") != 0 {
		t.Errorf("the writes are %v", s.writes)
	}
}

func TestANearImageThatCannotBeReadIsNoHindrance(t *testing.T) {
	s := newServer(t)
	repo := s.repository(t, "app")
	if _, err := repo.Push(t.Context(), opened(t, savedAs(t, imageOf(20_000))), "latest", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		denied := r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
		if denied {
			refuse(w, http.StatusForbidden, "DENIED")
		}
		return denied
	})
	if _, err := repo.Push(t.Context(), opened(t, savedAs(t, imageOf(30_000))), "2", PushOptions{RecentTags: []string{"latest"}}); err != nil {
		t.Fatal(err)
	}
	s.on(nil)
	s.valid(t, "app:2")
}

func TestAnUnchangedImageCostsAHandfulOfRequests(t *testing.T) {
	for name, ref := range map[string]string{"docker save": savedAs(t, imageOf(50_000, 40_000)), "OCI": write(t, layoutOf(t, imageOf(50_000, 40_000)).tar())} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			repo := s.repository(t, "app")
			first, err := repo.Push(t.Context(), opened(t, ref), "1", PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range []string{"1", "2"} {
				s.forget()
				again, err := repo.Push(t.Context(), opened(t, ref), tag, PushOptions{RecentTags: []string{"1"}})
				if err != nil || again.Digest != first.Digest || again.Bytes != 0 {
					t.Errorf("%+v, %v", again, err)
				}
				if s.requests > 6 {
					t.Errorf("tag %s took %d requests: %v", tag, s.requests, s.writes)
				}
			}
			s.valid(t, "app:2")
		})
	}
}

// An image that the repository has by its config is not read again: only what a host pulls counts, and that is checked there.
func TestAKnownImageIsNotRead(t *testing.T) {
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
				b.open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("it is read") }
			}
		}
		var last PushProgress
		again, err := repo.Push(t.Context(), src, tag, PushOptions{RecentTags: []string{"1"}, Progress: func(m PushProgress) { last = m }})
		if err != nil || again.Digest != first.Digest || again.Reused != 3 || last.Done != last.Total || last.Total == 0 {
			t.Errorf("tag %s: %+v, %+v, %v", tag, again, last, err)
		}
	}
	s.valid(t, "app:2")
}

func TestAMediaTypeWithACharsetIsTheSame(t *testing.T) {
	s, image := newServer(t), imageOf(20_000)
	repo := s.repository(t, "app")
	if _, err := repo.Push(t.Context(), opened(t, savedAs(t, image)), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	first := s.valid(t, "app:1")
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/manifests/1") {
			return false
		}
		w.Header().Set("Content-Type", string(first.MediaType)+"; charset=utf-8")
		_, _ = w.Write(first.Manifest)
		return true
	})
	if _, err := repo.Push(t.Context(), opened(t, savedAs(t, image)), "2", PushOptions{RecentTags: []string{"1"}}); err != nil {
		t.Fatal(err)
	}
	s.on(nil)
	if again := s.valid(t, "app:2"); again.Digest != first.Digest || again.MediaType != first.MediaType {
		t.Errorf("%s of type %q, want %s of type %q", again.Digest, again.MediaType, first.Digest, first.MediaType)
	}
}

func TestALayerThatOccursTwiceIsSentOnce(t *testing.T) {
	s, base := newServer(t), imageOf(50_000)
	twice := must(mutate.AppendLayers(base, must(base.Layers())[0]))
	if _, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, twice)), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := s.written("PUT /v2/app/blobs"); n != 2 {
		t.Errorf("%d blobs were sent: %v", n, s.writes)
	}
	s.valid(t, "app:1")
}

func TestZstdIsPushedAsOCI(t *testing.T) {
	s := newServer(t)
	got, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, imageOf(50_000))), "1", PushOptions{Compression: Zstd})
	if err != nil {
		t.Fatal(err)
	}
	image := must(must(remote.Get(must(name.ParseReference(s.host + "/app@" + got.Digest)))).Image())
	manifest := must(image.Manifest())
	if manifest.MediaType != types.OCIManifestSchema1 || manifest.Config.MediaType != types.OCIConfigJSON || manifest.Layers[0].MediaType != types.OCILayerZStd {
		t.Errorf("%+v", manifest)
	}
	stored := must(must(image.Layers())[0].Compressed())
	content := must(io.ReadAll(must(zstd.NewReader(stored))))
	if have, want := digestOf(content), must(image.ConfigFile()).RootFS.DiffIDs[0]; have != want {
		t.Errorf("the layer holds %s, want %s", have, want)
	}
}

// cut closes a connection with a reset.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// carries reports whether r brings bytes of a blob: of one whose digest is known with the request that ends the upload.
func carries(r *http.Request) bool {
	return r.Method == http.MethodPatch || r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") && r.ContentLength != 0
}

// bothWays is image to be compressed on the way, and to be sent as it lies.
func bothWays(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	return map[string]string{"docker save": savedAs(t, image), "OCI layout": layoutOf(t, image).folder(t)}
}

// A connection that is lost after so many bytes of the blob costs that blob, not the push.
func TestAResetAnywhereInABlobIsSurvived(t *testing.T) {
	for way, ref := range bothWays(t, imageOf(600_000)) {
		for at := int64(0); at < 600_000; at += 64 << 10 {
			t.Run(fmt.Sprint(way, " ", at), func(t *testing.T) {
				t.Parallel()
				s := newServer(t)
				var lost atomic.Bool
				s.on(func(w http.ResponseWriter, r *http.Request) bool {
					small := r.ContentLength >= 0 && r.ContentLength < 100_000 // a config
					if !carries(r) || small || lost.Swap(true) {
						return false
					}
					_, _ = io.CopyN(io.Discard, r.Body, at)
					cut(w)
					return true
				})
				got, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
				if err != nil || !lost.Load() {
					t.Fatal(err)
				}
				s.names(t, "app:1", got)
			})
		}
	}
}

// spoiled changes the first byte of a body, or takes its time over it.
type spoiled struct {
	io.ReadCloser
	flip  bool
	pause time.Duration
}

func (b *spoiled) Read(p []byte) (int, error) {
	time.Sleep(b.pause)
	n, err := b.ReadCloser.Read(p[:min(len(p), 16<<10)])
	if n > 0 && b.flip {
		p[0] ^= 1
		b.flip = false
	}
	return n, err
}

// The registry compares what has arrived with the digest: bytes that were changed on the way are sent again, and the
// image is not called damaged for it.
func TestBytesThatAreChangedOnTheWayAreSentAgain(t *testing.T) {
	for way, ref := range bothWays(t, imageOf(100_000)) {
		for _, passes := range []bool{true, false} {
			t.Run(fmt.Sprint(way, " ", passes), func(t *testing.T) {
				s := newServer(t)
				var met atomic.Bool
				s.on(func(_ http.ResponseWriter, r *http.Request) bool {
					if carries(r) && (!passes || !met.Swap(true)) {
						r.Body = &spoiled{ReadCloser: r.Body, flip: true}
					}
					return false
				})
				got, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
				if passes {
					if err != nil {
						t.Fatal(err)
					}
					s.names(t, "app:1", got)
					return
				}
				if err == nil || strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "DIGEST_INVALID") {
					t.Errorf("the error is %v", err)
				}
				if n := s.written("manifests"); n != 0 {
					t.Errorf("%d manifests were written", n)
				}
			})
		}
	}
}

func TestASlowRegistryGetsItAll(t *testing.T) {
	for way, ref := range bothWays(t, imageOf(300_000)) {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.on(func(_ http.ResponseWriter, r *http.Request) bool {
				time.Sleep(20 * time.Millisecond)
				r.Body = &spoiled{ReadCloser: r.Body, pause: 10 * time.Millisecond}
				return false
			})
			got, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			s.names(t, "app:1", got)
		})
	}
}

// After a passing fault in any request the right digest is tagged; after one that stays nothing is.
func TestAFaultInAnyRequestIsSurvivedOrLeavesNoTag(t *testing.T) {
	refs := map[string]string{"docker save": savedAs(t, imageOf(50_000, 30_000)), "OCI layout": layoutOf(t, twoPlatforms()).folder(t)}
	faults := map[string]func(http.ResponseWriter, *http.Request){
		"500":        func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusInternalServerError, "UNKNOWN") },
		"503":        func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE") },
		"429":        func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS") },
		"reset":      func(w http.ResponseWriter, _ *http.Request) { cut(w) },
		"no upload":  func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN") },
		"bad digest": func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusBadRequest, "DIGEST_INVALID") },
		"nowhere": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://")
			w.WriteHeader(http.StatusAccepted)
		},
		"elsewhere": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/v2/app/nothing/here")
			w.WriteHeader(http.StatusAccepted)
		},
	}
	steps := map[string]func(*http.Request) bool{
		"look": func(r *http.Request) bool {
			return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/manifests/1")
		},
		"head": func(r *http.Request) bool {
			return r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/blobs/")
		},
		"begin":  func(r *http.Request) bool { return r.Method == http.MethodPost },
		"stream": carries,
		"finish": func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/")
		},
		"manifest": func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256:")
		},
		"tag": func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/1")
		},
	}
	upload := map[string]bool{"begin": true, "stream": true, "finish": true}
	leads := map[string]bool{"nowhere": true, "elsewhere": true}
	for fault, answer := range faults {
		for step, is := range steps {
			if (fault == "no upload" || fault == "bad digest" || leads[fault]) && !upload[step] || leads[fault] && step == "finish" {
				continue // no registry answers like that
			}
			for i := range 4 {
				passes, way := i%2 == 0, []string{"docker save", "OCI layout"}[i/2]
				if step == "manifest" && way == "docker save" {
					continue // one of no index is written by its tag alone
				}
				if step == "stream" && way == "OCI layout" && leads[fault] {
					continue // that request ends the upload
				}
				ref := refs[way]
				t.Run(fmt.Sprintf("%s/%s/%s/%v", way, fault, step, passes), func(t *testing.T) {
					t.Parallel()
					s := newServer(t)
					var met atomic.Bool
					s.on(func(w http.ResponseWriter, r *http.Request) bool {
						ends := r.Method == http.MethodPut && leads[fault] // it leads nowhere any more
						if !is(r) || ends || passes && met.Load() {
							return false
						}
						met.Store(true)
						answer(w, r)
						return true
					})
					got, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
					if !met.Load() {
						t.Fatal("the fault was never met")
					}
					s.on(nil)
					if passes {
						if err != nil {
							t.Fatal(err)
						}
						s.names(t, "app:1", got)
						return
					}
					if err == nil || !strings.Contains(err.Error(), "/app:1") {
						t.Errorf("error is %v", err)
					}
					if _, err := s.repository(t, "app").Resolve(t.Context(), "1"); err == nil {
						t.Error("a push that failed has left a tag")
					}
				})
			}
		}
	}
}

// spent is an authenticator whose token can be used up.
type spent struct {
	mu              sync.Mutex
	number, renewed int
}

func (k *spent) Authorization() (*authn.AuthConfig, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &authn.AuthConfig{Username: "AWS", Password: fmt.Sprint(k.number)}, nil
}

func (k *spent) Renew() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.number++
	k.renewed++
}

func TestATokenThatExpiresInAPushIsRenewed(t *testing.T) {
	s := newServer(t)
	var seen atomic.Int64
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		_, password, ok := r.BasicAuth()
		if ok && r.Method == http.MethodPatch && seen.Add(1) == 2 || ok && seen.Load() >= 2 && password == "0" || !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
			return true
		}
		return false
	})
	auth := &spent{}
	repo := s.repository(t, "app")
	repo.client.auth = auth
	if _, err := repo.Push(t.Context(), opened(t, savedAs(t, imageOf(90_000, 80_000, 70_000))), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if auth.renewed == 0 {
		t.Error("the token was never renewed")
	}
	s.on(nil)
	s.valid(t, "app:1")
}

func TestPushesOfTheSameImageAtOnceAllSucceed(t *testing.T) {
	s := newServer(t)
	ref := savedAs(t, imageOf(90_000, 80_000))
	var group sync.WaitGroup
	digests := make([]string, 8)
	for i := range digests {
		group.Go(func() {
			got, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
			if err != nil {
				t.Error(err)
			}
			digests[i] = got.Digest
		})
	}
	group.Wait()
	for _, digest := range digests {
		if digest != digests[0] {
			t.Errorf("digests are %v", digests)
		}
	}
	s.valid(t, "app:1")
}
