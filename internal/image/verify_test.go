package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layerSet contains layers whose content the repository has, and counts those that are open.
type layerSet struct {
	*engine
	layers []*blob
	open   atomic.Int32
}

func newLayerSet(contents ...[]byte) *layerSet {
	s := &layerSet{engine: &engine{meter: newMeter(nil), layers: map[v1.Hash]v1.Descriptor{}}}
	for i, content := range contents {
		b := &blob{name: fmt.Sprintf("layer %d", i), compress: true, diffID: digestOf(content), length: int64(len(content))}
		s.engine.layers[b.diffID] = v1.Descriptor{Digest: digestOf([]byte(b.name)), Size: int64(i)}
		s.layers = append(s.layers, b)
		s.setContent(i, bytes.NewReader(content))
	}
	return s
}

func (s *layerSet) setContent(i int, r io.Reader) {
	s.layers[i].open = func(context.Context) (io.ReadCloser, error) {
		s.open.Add(1)
		return struct {
			io.Reader
			io.Closer
		}{r, closeFunc(func() error { s.open.Add(-1); return nil })}, nil
	}
}

func (s *layerSet) verify(ctx context.Context) error {
	return runParallel(ctx, s.layers, s.verifyContent)
}

type closeFunc func() error

func (f closeFunc) Close() error { return f() }

// contentsOfManyLengths returns contents that are empty, shorter and longer than a block and a read, and of exactly that
// length.
func contentsOfManyLengths() (contents [][]byte) {
	for i, n := range []int{5*readSize + 1, 3 * readSize, 2*readSize + 64, readSize + 63, readSize, readSize - 1, 100, 64, 1, 0} {
		contents = append(contents, bytes.Repeat([]byte{byte(i)}, n))
	}
	return contents
}

func TestLayersAreVerifiedInParallel(t *testing.T) {
	for n := range len(contentsOfManyLengths()) + 1 {
		s := newLayerSet(contentsOfManyLengths()[:n]...)
		for i, content := range contentsOfManyLengths()[:n] {
			switch i % 3 {
			case 1:
				s.setContent(i, iotest.HalfReader(bytes.NewReader(content)))
			case 2:
				s.setContent(i, iotest.DataErrReader(bytes.NewReader(content)))
			}
		}
		if err := s.verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, b := range s.layers {
			if b.Digest != digestOf([]byte(b.name)) {
				t.Errorf("%s does not have the descriptor of the repository's layer", b.name)
			}
		}
		if moved := s.meter.total(); moved.Reused != n || s.open.Load() != 0 {
			t.Errorf("%d of %d layers were reused, %d are still open", moved.Reused, n, s.open.Load())
		}
	}
}

func TestVerificationErrorNamesTheLayer(t *testing.T) {
	contents := contentsOfManyLengths()
	for i, content := range contents {
		for want, spoil := range map[string]func(*layerSet){
			"its content has the digest": func(s *layerSet) { s.setContent(i, io.MultiReader(bytes.NewReader(content), strings.NewReader("x"))) },
			"as in the config":           func(s *layerSet) { s.layers[i].diffID = digestOf([]byte("another")) },
			io.ErrUnexpectedEOF.Error():  func(s *layerSet) { s.setContent(i, iotest.ErrReader(io.ErrUnexpectedEOF)) },
			"the connection is lost": func(s *layerSet) {
				s.setContent(i, io.MultiReader(bytes.NewReader(content), iotest.ErrReader(errors.New("the connection is lost"))))
			},
			"the file is gone": func(s *layerSet) {
				s.layers[i].open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("the file is gone") }
			},
		} {
			s := newLayerSet(contents...)
			spoil(s)
			err := s.verify(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), s.layers[i].name+":") || !errors.As(err, new(contentError)) {
				t.Errorf("%s: error is %v, want %q", s.layers[i].name, err, want)
			}
			if s.layers[i].Digest != (v1.Hash{}) || s.open.Load() != 0 {
				t.Errorf("%s has a digest, or %d layers are still open", s.layers[i].name, s.open.Load())
			}
		}
	}
}

// endlessReader calls each before every read.
func endlessReader(each func()) io.Reader {
	start := time.Now()
	return readFunc(func(p []byte) (int, error) {
		if each(); time.Since(start) > 20*time.Second {
			return 0, errors.New("still not cancelled")
		}
		return len(p), nil
	})
}

func TestVerificationStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	s := newLayerSet(contentsOfManyLengths()...)
	why := errors.New("cancelled by the workflow")
	s.setContent(1, endlessReader(func() { cancel(why) }))
	if err := s.verify(ctx); !errors.Is(err, why) || errors.As(err, new(contentError)) {
		t.Errorf("error is %v", err)
	}
}

// pushThenAddLayers returns a repository and an image with two layers that it has, which are read through wrap, and
// maxUploads layers that it does not have.
func pushThenAddLayers(t *testing.T, s *server, wrap func(int, io.Reader) io.Reader) (*Repository, *Source) {
	t.Helper()
	repo, base := s.repository(t, "app"), imageOf(2*readSize, 1000)
	if _, err := repo.Push(t.Context(), opened(t, savedAs(t, base)), "latest", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	s.resetCounts()
	next := base
	for range maxUploads {
		next = must(mutate.AppendLayers(next, must(random.Layer(3000, types.DockerLayer))))
	}
	src := opened(t, savedAs(t, next))
	for i, b := range src.root.blobs[1:3] {
		open := b.open
		b.open = func(ctx context.Context) (io.ReadCloser, error) {
			r, err := open(ctx)
			return struct {
				io.Reader
				io.Closer
			}{wrap(i, r), r}, err
		}
	}
	return repo, src
}

// waitFor fails the test if the channel is not closed within five minutes.
func waitFor(t *testing.T, done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(5 * time.Minute):
		t.Error("one waits for the other")
	}
}

func TestVerificationAndUploadRunConcurrently(t *testing.T) {
	for _, hashingFirst := range []bool{true, false} {
		hashed, sent := make(chan struct{}), make(chan struct{})
		var left atomic.Int32
		left.Store(2)
		s := newServer(t)
		repo, src := pushThenAddLayers(t, s, func(_ int, r io.Reader) io.Reader {
			return readFunc(func(p []byte) (int, error) {
				if !hashingFirst {
					waitFor(t, sent)
				}
				n, err := r.Read(p)
				if err == io.EOF && left.Add(-1) == 0 {
					close(hashed)
				}
				return n, err
			})
		})
		var puts atomic.Int32
		s.interceptWith(func(_ http.ResponseWriter, r *http.Request) bool {
			switch {
			case hashingFirst && r.Method == http.MethodPost:
				waitFor(t, hashed)
			case r.Method == http.MethodPut && puts.Add(1) == maxUploads+1: // all layers and the config
				close(sent)
			}
			return false
		})
		if _, err := repo.Push(t.Context(), src, "2", PushOptions{Recent: []string{"latest"}}); err != nil {
			t.Error(err)
		}
	}
}

func TestFirstErrorStopsTheOtherLayers(t *testing.T) {
	t.Run("sending", func(t *testing.T) {
		s := newServer(t)
		repo, src := pushThenAddLayers(t, s, func(int, io.Reader) io.Reader { return endlessReader(func() {}) })
		s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				refuse(w, http.StatusForbidden, "DENIED")
			}
			return r.Method == http.MethodPost
		})
		checkPushEnds(t, repo, src, "DENIED")
	})
	t.Run("hashing", func(t *testing.T) {
		s := newServer(t)
		asked := make(chan struct{})
		var once sync.Once
		repo, src := pushThenAddLayers(t, s, func(int, io.Reader) io.Reader {
			return readFunc(func([]byte) (int, error) {
				waitFor(t, asked)
				return 0, io.EOF
			})
		})
		s.interceptWith(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				once.Do(func() { close(asked) })
				<-r.Context().Done() // never responds
			}
			return r.Method == http.MethodPost
		})
		checkPushEnds(t, repo, src, "as in the config")
	})
}

// checkPushEnds checks that a push of src ends with the error want while the others still run.
func checkPushEnds(t *testing.T, repo *Repository, src *Source, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := repo.Push(ctx, src, "2", PushOptions{Recent: []string{"latest"}}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want %q", err, want)
	}
	if ctx.Err() != nil {
		t.Error("the push did not end on its own")
	}
}
