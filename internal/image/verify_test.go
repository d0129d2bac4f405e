package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// shelf makes layers that a repository holds, and counts those that are open.
type shelf struct {
	*engine
	layers []*blob
	open   atomic.Int32
}

func newShelf(contents ...[]byte) *shelf {
	s := &shelf{engine: &engine{meter: newMeter(nil), layers: map[v1.Hash]v1.Descriptor{}}}
	for i, content := range contents {
		b := &blob{name: fmt.Sprintf("layer %d", i), compress: true, diffID: digestOf(content), length: int64(len(content))}
		s.engine.layers[b.diffID] = v1.Descriptor{Digest: digestOf([]byte(b.name)), Size: int64(i)}
		s.layers = append(s.layers, b)
		s.reads(i, bytes.NewReader(content))
	}
	return s
}

func (s *shelf) reads(i int, r io.Reader) {
	s.layers[i].open = func(context.Context) (io.ReadCloser, error) {
		s.open.Add(1)
		return struct {
			io.Reader
			io.Closer
		}{r, closeFunc(func() error { s.open.Add(-1); return nil })}, nil
	}
}

type closeFunc func() error

func (f closeFunc) Close() error { return f() }

// unlike are contents of all lengths that matter: none, parts of a block, of what is read at once, and some of it.
func unlike() (contents [][]byte) {
	for i, n := range []int{5*readSize + 1, 3 * readSize, 2*readSize + 64, readSize + 63, readSize, readSize - 1, 100, 64, 1, 0} {
		contents = append(contents, bytes.Repeat([]byte{byte(i)}, n))
	}
	return contents
}

func TestLayersAreVerifiedSideBySide(t *testing.T) {
	for workers := 1; workers <= 12; workers++ {
		for n := range len(unlike()) + 1 {
			s := newShelf(unlike()[:n]...)
			for i, content := range unlike()[:n] {
				switch i % 3 {
				case 1:
					s.reads(i, iotest.HalfReader(bytes.NewReader(content)))
				case 2:
					s.reads(i, iotest.DataErrReader(bytes.NewReader(content)))
				}
			}
			if err := s.verify(t.Context(), s.layers, workers); err != nil {
				t.Fatal(err)
			}
			for _, b := range s.layers {
				if b.Digest != digestOf([]byte(b.name)) {
					t.Errorf("%s has not become the one that the repository holds", b.name)
				}
			}
			if moved := s.meter.sum(); moved.Reused != n || s.open.Load() != 0 {
				t.Errorf("%d of %d layers were reused, %d are still open", moved.Reused, n, s.open.Load())
			}
		}
	}
}

func TestAnyLayerThatCannotBeVerifiedIsNamed(t *testing.T) {
	contents := unlike()
	for i, content := range contents {
		for workers := 1; workers <= 3; workers++ {
			for want, spoil := range map[string]func(*shelf){
				"its content is":            func(s *shelf) { s.reads(i, io.MultiReader(bytes.NewReader(content), strings.NewReader("x"))) },
				"the config says":           func(s *shelf) { s.layers[i].diffID = digestOf([]byte("another")) },
				io.ErrUnexpectedEOF.Error(): func(s *shelf) { s.reads(i, iotest.ErrReader(io.ErrUnexpectedEOF)) },
				"it breaks off": func(s *shelf) {
					s.reads(i, io.MultiReader(bytes.NewReader(content), iotest.ErrReader(errors.New("it breaks off"))))
				},
				"it is gone": func(s *shelf) {
					s.layers[i].open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("it is gone") }
				},
			} {
				s := newShelf(contents...)
				spoil(s)
				err := s.verify(t.Context(), s.layers, workers)
				if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), s.layers[i].name+":") || !errors.As(err, new(damage)) {
					t.Errorf("%s, %d workers: error is %v, want %q", s.layers[i].name, workers, err, want)
				}
				if s.layers[i].Digest != (v1.Hash{}) || s.open.Load() != 0 {
					t.Errorf("%s, %d workers: it got a digest, or %d layers are still open", s.layers[i].name, workers, s.open.Load())
				}
			}
		}
	}
}

func TestVerifyingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	s := newShelf(unlike()...)
	why := errors.New("cancelled by the workflow")
	s.reads(1, readFunc(func(p []byte) (int, error) { // it never ends
		cancel(why)
		return len(p), nil
	}))
	if err := s.verify(ctx, s.layers, 1); !errors.Is(err, why) || errors.As(err, new(damage)) {
		t.Errorf("error is %v", err)
	}
}
