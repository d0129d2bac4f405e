package image

import (
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// frameSize is how many bytes of a layer each zstd frame holds; a digest depends on it.
const frameSize = 512 << 10

// encoder is that of all layers: it compresses as many frames at once as there are cores, and others wait.
var encoder = sync.OnceValues(func() (*zstd.Encoder, error) { return newEncoder(zstdLevel) })

func newEncoder(level zstd.EncoderLevel) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithZeroFrames(true))
}

// frames compresses into zstd frames that know nothing of each other, so that every core can work on one layer and what
// comes out does not depend on how many do. A decoder takes frames that follow each other for one stream:
// https://www.rfc-editor.org/rfc/rfc8878#section-3.1
type frames struct {
	encoder *zstd.Encoder
	next    []byte            // what the next frame is made of
	ahead   chan chan *[]byte // frames in the order of the stream
	ended   chan struct{}     // when all of them are written

	mu  sync.Mutex
	err error // of writing
}

// buffers are of plain and of compressed frames.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, frameSize); return &b }}

func newFrames(w io.Writer, encoder *zstd.Encoder) *frames {
	f := &frames{encoder: encoder, next: (*buffers.Get().(*[]byte))[:0], ahead: make(chan chan *[]byte, min(runtime.GOMAXPROCS(0), 8)), ended: make(chan struct{})}
	go f.write(w)
	return f
}

// write writes the frames as they get ready, and after an error drops them.
func (f *frames) write(w io.Writer) {
	defer close(f.ended)
	for ready := range f.ahead {
		frame := <-ready
		if f.failed() == nil {
			if _, err := w.Write(*frame); err != nil {
				f.mu.Lock()
				f.err = err
				f.mu.Unlock()
			}
		}
		buffers.Put(frame)
	}
}

func (f *frames) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Write implements io.Writer.
func (f *frames) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if err := f.failed(); err != nil {
			return n - len(p), err
		}
		take := min(len(p), frameSize-len(f.next))
		f.next = append(f.next, p[:take]...)
		if p = p[take:]; len(f.next) == frameSize {
			f.compress()
		}
	}
	return n, nil
}

// compress begins to compress what has been collected, and waits where too many frames are not written yet.
func (f *frames) compress() {
	plain, frame, ready := f.next, buffers.Get().(*[]byte), make(chan *[]byte, 1)
	f.ahead <- ready
	go func() {
		*frame = f.encoder.EncodeAll(plain, (*frame)[:0])
		buffers.Put(&plain)
		ready <- frame
	}()
	f.next = (*buffers.Get().(*[]byte))[:0]
}

// Close implements io.Closer. Without content there is one frame without content.
func (f *frames) Close() error {
	f.compress()
	close(f.ahead)
	<-f.ended
	return f.failed()
}
