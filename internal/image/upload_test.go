package image

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// resetConnection closes a connection with a reset.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// closeConnection closes a connection without a response, so that the client reads EOF.
func closeConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_ = conn.Close()
}

func TestPushGivesUpSoonWhenTheRegistryHangsUpOnUploads(t *testing.T) {
	for way, ref := range bothWays(t, randomImage(1)) {
		s := newServer(t)
		s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
			refused := r.Method == http.MethodPost
			if refused {
				closeConnection(w)
			}
			return refused
		})
		_, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
		if !errors.Is(err, ErrHungUp) || !strings.Contains(err.Error(), s.host+"/app:1") {
			t.Errorf("%s: error is %v", way, err)
		}
		if blobs, posts := 2, s.countWrites("POST"); posts < maxHangUps || posts > blobs*maxHangUps {
			t.Errorf("%s: %d uploads of %d blobs were started", way, posts, blobs)
		}
	}
}

func TestUploadIsStartedAgainAfterTheConnectionWasClosedOnce(t *testing.T) {
	s := newServer(t)
	var closed atomic.Bool
	s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
		first := r.Method == http.MethodPost && !closed.Swap(true)
		if first {
			closeConnection(w)
		}
		return first
	})
	if _, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, randomImage(1))), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	s.checkIntact(t, "app:1")
}

// sendsBlob reports whether r sends bytes of a blob; if its digest is known, the request that ends the upload does.
func sendsBlob(r *http.Request) bool {
	return r.Method == http.MethodPatch || r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") && r.ContentLength != 0
}

// bothWays returns image as a docker save, which is compressed, and as an OCI layout, which is uploaded unchanged.
func bothWays(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	return map[string]string{"docker save": savedAs(t, image), "OCI layout": layoutOf(t, image).folder(t)}
}

// After a connection is reset in the middle of a blob, only that blob is sent again.
func TestUploadIsRetriedAfterConnectionReset(t *testing.T) {
	for way, ref := range bothWays(t, imageOf(600_000)) {
		for at := int64(0); at < 600_000; at += 64 << 10 {
			t.Run(fmt.Sprint(way, " ", at), func(t *testing.T) {
				t.Parallel()
				s := newServer(t)
				var lost atomic.Bool
				s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
					small := r.ContentLength >= 0 && r.ContentLength < 100_000 // a config
					if !sendsBlob(r) || small || lost.Swap(true) {
						return false
					}
					_, _ = io.CopyN(io.Discard, r.Body, at)
					resetConnection(w)
					return true
				})
				got, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
				if err != nil || !lost.Load() {
					t.Fatal(err)
				}
				s.checkPushed(t, "app:1", got)
			})
		}
	}
}

// slowOrCorruptBody flips a bit of the first byte of a body, or delays its reads.
type slowOrCorruptBody struct {
	io.ReadCloser
	flip  bool
	pause time.Duration
}

func (b *slowOrCorruptBody) Read(p []byte) (int, error) {
	time.Sleep(b.pause)
	n, err := b.ReadCloser.Read(p[:min(len(p), 16<<10)])
	if n > 0 && b.flip {
		p[0] ^= 1
		b.flip = false
	}
	return n, err
}

// The registry verifies the digest: bytes that were corrupted in transit are sent again, and the image is not reported as
// damaged.
func TestUploadIsRetriedAfterCorruption(t *testing.T) {
	for way, ref := range bothWays(t, imageOf(100_000)) {
		for _, passes := range []bool{true, false} {
			t.Run(fmt.Sprint(way, " ", passes), func(t *testing.T) {
				s := newServer(t)
				var met atomic.Bool
				s.interceptWith(func(_ http.ResponseWriter, r *http.Request) bool {
					if sendsBlob(r) && (!passes || !met.Swap(true)) {
						r.Body = &slowOrCorruptBody{ReadCloser: r.Body, flip: true}
					}
					return false
				})
				got, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
				if passes {
					if err != nil {
						t.Fatal(err)
					}
					s.checkPushed(t, "app:1", got)
					return
				}
				if err == nil || strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "DIGEST_INVALID") {
					t.Errorf("the error is %v", err)
				}
				if n := s.countWrites("manifests"); n != 0 {
					t.Errorf("%d manifests were written", n)
				}
			})
		}
	}
}

func TestPushToSlowRegistry(t *testing.T) {
	for way, ref := range bothWays(t, imageOf(300_000)) {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.interceptWith(func(_ http.ResponseWriter, r *http.Request) bool {
				time.Sleep(20 * time.Millisecond)
				r.Body = &slowOrCorruptBody{ReadCloser: r.Body, pause: 10 * time.Millisecond}
				return false
			})
			got, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			s.checkPushed(t, "app:1", got)
		})
	}
}

// After a transient fault in any request the right digest is tagged; after a permanent one nothing is.
func TestPushSurvivesAFaultInAnyRequestOrLeavesNoTag(t *testing.T) {
	refs := map[string]string{"docker save": savedAs(t, imageOf(50_000, 30_000)), "OCI layout": layoutOf(t, twoPlatforms()).folder(t)}
	faults := map[string]func(http.ResponseWriter, *http.Request){
		"500":        func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusInternalServerError, "UNKNOWN") },
		"503":        func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE") },
		"429":        func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS") },
		"reset":      func(w http.ResponseWriter, _ *http.Request) { resetConnection(w) },
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
		"stream": sendsBlob,
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
				continue // no registry responds like that
			}
			for i := range 4 {
				passes, way := i%2 == 0, []string{"docker save", "OCI layout"}[i/2]
				if step == "manifest" && way == "docker save" {
					continue // without an index, the manifest is written by tag only
				}
				if step == "stream" && way == "OCI layout" && leads[fault] {
					continue // the request ends the upload
				}
				ref := refs[way]
				t.Run(fmt.Sprintf("%s/%s/%s/%v", way, fault, step, passes), func(t *testing.T) {
					t.Parallel()
					s := newServer(t)
					var met atomic.Bool
					s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
						ends := r.Method == http.MethodPut && leads[fault] // the response's Location no longer matters
						if !is(r) || ends || passes && met.Load() {
							return false
						}
						met.Store(true)
						answer(w, r)
						return true
					})
					got, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
					if !met.Load() {
						t.Fatal("the fault was not injected")
					}
					s.interceptWith(nil)
					if passes {
						if err != nil {
							t.Fatal(err)
						}
						s.checkPushed(t, "app:1", got)
						return
					}
					if err == nil || !strings.Contains(err.Error(), "/app:1") {
						t.Errorf("error is %v", err)
					}
					if _, err := s.repository(t, "app").Resolve(t.Context(), "1"); err == nil {
						t.Error("a failed push left a tag")
					}
				})
			}
		}
	}
}
