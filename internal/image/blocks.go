package image

import (
	"bytes"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// blockSize is how many bytes of a layer are compressed on their own; a digest depends on it.
const blockSize = 512 << 10

// readSize is how many bytes are read and hashed at once: they lie in the cache of a core.
const readSize = 256 << 10

// What bounds the memory on a machine with many cores: more blocks of a layer than one core can read and check in the
// meantime, and more at once than a network takes, would only lie there.
const (
	maxAhead = 4
	maxCores = 8
)

func coreCount(most int) int { return min(runtime.GOMAXPROCS(0), most) }

// busy has room for the blocks of all layers that are compressed at the same time.
var busy = make(chan struct{}, coreCount(maxCores))

// pack appends to packed what plain is when it is compressed.
type pack func(packed, plain []byte) []byte

// blocks compresses into independent blocks, so that every core can work on one layer and the result does not depend on how
// many do.
type blocks struct {
	pack  pack
	next  []byte           // what the next block is made of; nil while there is nothing
	ahead chan chan []byte // packed blocks in the order of the stream
	ended chan struct{}    // when all of them are written

	mu  sync.Mutex
	err error // of writing
}

// spare keeps what is used again and again: a sync.Pool keeps some for every core, which is more memory than there is.
type spare[T any] chan T

func (s spare[T]) get(anew func() T) T {
	select {
	case one := <-s:
		return one
	default:
		return anew()
	}
}

func (s spare[T]) put(one T) {
	select {
	case s <- one:
	default:
	}
}

// buffers are of plain and of packed blocks, with room for what cannot be compressed.
var buffers = make(spare[[]byte], uploads*(maxAhead+2)+maxCores)

func newBuffer() []byte {
	return buffers.get(func() []byte { return make([]byte, 0, blockSize+blockSize/64) })[:0]
}

func newBlocks(w io.Writer, p pack) *blocks {
	b := &blocks{pack: p, ahead: make(chan chan []byte, coreCount(maxAhead)), ended: make(chan struct{})}
	go b.writeBlocks(w)
	return b
}

// writeBlocks writes the blocks as they get ready, and after an error drops them.
func (b *blocks) writeBlocks(w io.Writer) {
	defer close(b.ended)
	for ready := range b.ahead {
		packed := <-ready
		if b.writeError() == nil {
			if _, err := w.Write(packed); err != nil {
				b.mu.Lock()
				b.err = err
				b.mu.Unlock()
			}
		}
		buffers.put(packed)
	}
}

func (b *blocks) writeError() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// ReadFrom implements io.ReaderFrom: everything is read to where it is compressed.
func (b *blocks) ReadFrom(r io.Reader) (n int64, err error) {
	for err == nil {
		if err = b.writeError(); err != nil {
			return n, err
		}
		if b.next == nil {
			b.next = newBuffer()
		}
		var more int
		have := len(b.next)
		more, err = r.Read(b.next[have:min(have+readSize, blockSize)])
		b.next = b.next[:have+more]
		if n += int64(more); len(b.next) == blockSize {
			b.compressBlock()
		}
	}
	if err == io.EOF { //nolint:errorlint // as io.Copy has it: what wraps it is an error
		err = nil
	}
	return n, err
}

// compressBlock begins to compress what has been collected, and waits where too many blocks are not written yet.
func (b *blocks) compressBlock() {
	plain, ready := b.next, make(chan []byte, 1)
	b.ahead <- ready
	go func() {
		busy <- struct{}{}
		packed := b.pack(newBuffer(), plain)
		if plain != nil {
			buffers.put(plain)
		}
		<-busy
		ready <- packed
	}()
	b.next = nil
}

// Close implements io.Closer. Without content there is one block without content.
func (b *blocks) Close() error {
	b.compressBlock()
	close(b.ahead)
	<-b.ended
	return b.writeError()
}

// zstdFrames makes each block a frame. A decoder takes frames that follow each other for one stream:
// https://www.rfc-editor.org/rfc/rfc8878#section-3.1
func zstdFrames(level zstd.EncoderLevel) (pack, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithZeroFrames(true), zstd.WithEncoderConcurrency(coreCount(maxCores)))
	if err != nil {
		return nil, err
	}
	return func(packed, plain []byte) []byte { return encoder.EncodeAll(plain, packed) }, nil
}

// gzipLevel compresses as fast as most uploads send. A digest depends on it, so it is the same on every machine.
const gzipLevel = gzip.BestSpeed

// gzipMembers makes each block a member. A decoder takes members that follow each other for one stream:
// https://www.rfc-editor.org/rfc/rfc1952#section-2.2
func gzipMembers(level int) pack {
	idle := make(spare[*gzip.Writer], cap(busy))
	return func(packed, plain []byte) []byte {
		z := idle.get(func() *gzip.Writer {
			z, _ := gzip.NewWriterLevel(nil, level) // the level is a constant
			return z
		})
		defer idle.put(z)
		out := bytes.NewBuffer(packed)
		z.Reset(out)
		_, _ = z.Write(plain) // to memory: neither it
		_ = z.Close()         // nor this can go wrong
		return out.Bytes()
	}
}
