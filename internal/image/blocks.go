package image

import (
	"bytes"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// blockSize is the number of bytes that are compressed as one block; the digest of a layer depends on it.
const blockSize = 512 << 10

// readSize is how many bytes are read and hashed at once; they fit into a core's cache.
const readSize = 256 << 10

// Limits of the memory used on a machine with many cores. More blocks than one core can read and hash in the meantime, or
// than the network can send, would only wait.
const (
	maxPending = 4 // blocks of one layer that are not written yet
	maxCores   = 8
)

func coreCount(limit int) int { return min(runtime.GOMAXPROCS(0), limit) }

// compressSlots limits how many blocks, of all layers, are compressed at the same time.
var compressSlots = make(chan struct{}, coreCount(maxCores))

// compressFunc compresses plain and appends the result to compressed.
type compressFunc func(compressed, plain []byte) []byte

// blockWriter compresses into independent blocks: all cores work on one layer, whatever their number, with the same result.
type blockWriter struct {
	compress compressFunc
	next     []byte           // content of the next block; nil while empty
	pending  chan chan []byte // compressed blocks in the order of the stream
	written  chan struct{}    // closed when all blocks are written

	mu  sync.Mutex
	err error // of writing
}

// pool holds unused items for reuse. A sync.Pool would hold items for every core and so use more memory.
type pool[T any] chan T

func (p pool[T]) get(newItem func() T) T {
	select {
	case item := <-p:
		return item
	default:
		return newItem()
	}
}

func (p pool[T]) put(item T) {
	select {
	case p <- item:
	default:
	}
}

// buffers holds plain and compressed blocks; their capacity suffices for content that cannot be compressed.
var buffers = make(pool[[]byte], maxUploads*(maxPending+2)+maxCores)

func newBuffer() []byte {
	return buffers.get(func() []byte { return make([]byte, 0, blockSize+blockSize/64) })[:0]
}

func newBlockWriter(w io.Writer, compress compressFunc) *blockWriter {
	b := &blockWriter{compress: compress, pending: make(chan chan []byte, coreCount(maxPending)), written: make(chan struct{})}
	go b.writeBlocks(w)
	return b
}

// writeBlocks writes the blocks in order; after an error, it drops the rest.
func (b *blockWriter) writeBlocks(w io.Writer) {
	defer close(b.written)
	for ready := range b.pending {
		compressed := <-ready
		if b.writeError() == nil {
			if _, err := w.Write(compressed); err != nil {
				b.mu.Lock()
				b.err = err
				b.mu.Unlock()
			}
		}
		buffers.put(compressed)
	}
}

func (b *blockWriter) writeError() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// ReadFrom implements io.ReaderFrom. It reads directly into the block that is compressed next.
func (b *blockWriter) ReadFrom(r io.Reader) (n int64, err error) {
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
	if err == io.EOF { //nolint:errorlint // like io.Copy: a wrapped EOF is an error
		err = nil
	}
	return n, err
}

// compressBlock starts to compress the next block; it waits while too many blocks are pending.
func (b *blockWriter) compressBlock() {
	plain, ready := b.next, make(chan []byte, 1)
	b.pending <- ready
	go func() {
		compressSlots <- struct{}{}
		compressed := b.compress(newBuffer(), plain)
		if plain != nil {
			buffers.put(plain)
		}
		<-compressSlots
		ready <- compressed
	}()
	b.next = nil
}

// Close implements io.Closer. It writes the last block, which is empty if there is no content.
func (b *blockWriter) Close() error {
	b.compressBlock()
	close(b.pending)
	<-b.written
	return b.writeError()
}

// zstdFrames compresses each block into a frame. A decoder reads consecutive frames as one stream:
// https://www.rfc-editor.org/rfc/rfc8878#section-3.1
func zstdFrames(level zstd.EncoderLevel) (compressFunc, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithZeroFrames(true), zstd.WithEncoderConcurrency(coreCount(maxCores)))
	if err != nil {
		return nil, err
	}
	return func(compressed, plain []byte) []byte { return encoder.EncodeAll(plain, compressed) }, nil
}

// gzipLevel compresses about as fast as most networks upload. Digests depend on it, so it is the same on every machine.
const gzipLevel = gzip.BestSpeed

// gzipMembers compresses each block into a member. A decoder reads consecutive members as one stream:
// https://www.rfc-editor.org/rfc/rfc1952#section-2.2
func gzipMembers(level int) compressFunc {
	writers := make(pool[*gzip.Writer], cap(compressSlots))
	return func(compressed, plain []byte) []byte {
		z := writers.get(func() *gzip.Writer {
			z, _ := gzip.NewWriterLevel(nil, level) // the level is a constant
			return z
		})
		defer writers.put(z)
		out := bytes.NewBuffer(compressed)
		z.Reset(out)
		_, _ = z.Write(plain) // neither Write nor Close fails,
		_ = z.Close()         // since out is in memory
		return out.Bytes()
	}
}
