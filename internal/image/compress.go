package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// Compression is the compression of layers that are not compressed yet.
type Compression string

const (
	// Gzip can be pulled by every client.
	Gzip Compression = "gzip"
	// Zstd can be pulled by Docker 23.0, containerd 1.5 and later:
	// https://docs.docker.com/engine/release-notes/23.0/ https://github.com/containerd/containerd/releases/tag/v1.5.0
	Zstd Compression = "zstd"
)

// zstdLevel takes the least time over links like those of GitHub's runners: docs/benchmarks.md. Digests depend on it, so it
// is the same on every machine.
const zstdLevel = zstd.SpeedFastest

// All layers share these compressors, so that no more blocks are compressed at once than there are cores.
var (
	gzipCompress = sync.OnceValue(func() compressFunc { return gzipMembers(gzipLevel) })
	zstdCompress = sync.OnceValues(func() (compressFunc, error) { return zstdFrames(zstdLevel) })
)

// mediaTypeOf returns the media type that b has in the registry.
func (c Compression) mediaTypeOf(b *blob) types.MediaType {
	switch {
	case !b.compress:
		return b.MediaType
	case c == Zstd:
		return types.OCILayerZStd
	}
	return types.OCILayer
}

// matchesMediaType reports whether layers of this media type are compressed with c.
func (c Compression) matchesMediaType(layer types.MediaType) bool {
	if c == Zstd {
		return layer == types.OCILayerZStd
	}
	return layer == types.DockerLayer || layer == types.OCILayer
}

// newCompressor returns a writer that compresses into w on every core. Its output depends only on its input.
func (c Compression) newCompressor(w io.Writer) (*blockWriter, error) {
	if c == Zstd {
		p, err := zstdCompress()
		if err != nil {
			return nil, err
		}
		return newBlockWriter(w, p), nil
	}
	return newBlockWriter(w, gzipCompress()), nil
}

// ErrContent is the kind of every error in the content of an image, as opposed to one of the registry or the network.
var ErrContent = errors.New("the content of the image")

type contentError struct{ error }

func (e contentError) Unwrap() error        { return e.error }
func (e contentError) Is(target error) bool { return target == ErrContent }

// storeTo writes b to w as the registry stores it, in one pass, and returns the digest and size of what it wrote, which is
// valid only if err is nil. It calls read with each number of bytes read from the source.
func (b *blob) storeTo(ctx context.Context, w io.Writer, c Compression, read func(int)) (v1.Hash, int64, error) {
	source, err := b.open(ctx)
	if err != nil {
		return v1.Hash{}, 0, b.wrapReadError(ctx, err)
	}
	defer source.Close()
	var writeErr error
	plain, sent := sha256.New(), &countingHash{Hash: sha256.New()}
	from := countReads(contextReader(ctx, source), read)
	to := writeFunc(func(p []byte) (int, error) {
		_, _ = sent.Write(p)
		n, err := w.Write(p)
		if err != nil {
			writeErr = err
		}
		return n, err
	})
	switch {
	case b.compress:
		var p *blockWriter
		if p, err = c.newCompressor(to); err == nil {
			_, err = p.ReadFrom(io.TeeReader(from, plain))
			err = errors.Join(err, p.Close())
		}
	case b.diffID != v1.Hash{}:
		err = unpackTo(plain, io.TeeReader(from, to))
	default:
		_, err = io.CopyBuffer(to, from, make([]byte, readSize))
	}
	digest := hashSum(sent.Hash)
	switch {
	case writeErr != nil:
		return v1.Hash{}, 0, writeErr
	case err != nil:
		return v1.Hash{}, 0, b.wrapReadError(ctx, err)
	case b.diffID != v1.Hash{} && hashSum(plain) != b.diffID:
		return v1.Hash{}, 0, b.wrapReadError(ctx, fmt.Errorf("its content has the digest %s, not %s as in the config", hashSum(plain), b.diffID))
	case b.Digest != v1.Hash{} && sent.n != b.Size:
		return v1.Hash{}, 0, b.wrapReadError(ctx, fmt.Errorf("it has %d bytes, not %d as in its descriptor", sent.n, b.Size))
	case b.Digest != v1.Hash{} && digest != b.Digest:
		return v1.Hash{}, 0, b.wrapReadError(ctx, fmt.Errorf("damaged: its content has the digest %s", digest))
	}
	return digest, sent.n, nil
}

// countReads calls read with each number of bytes read from r.
func countReads(r io.Reader, read func(int)) io.Reader {
	return readFunc(func(buf []byte) (int, error) {
		n, err := r.Read(buf)
		read(n)
		return n, err
	})
}

// sourceError is an error of the registry that a blob is read from, as opposed to the one that it is pushed to.
type sourceError struct{ error }

func (e sourceError) Unwrap() error { return e.error }

// wrapReadError adds the blob's name to an error of reading it. Reading from a registry may succeed when retried.
func (b *blob) wrapReadError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", b.name, err)
	case b.from != nil:
		return sourceError{fmt.Errorf("%s: read from %s: %w", b.name, b.from.Context().RegistryStr(), err)}
	}
	return contentError{fmt.Errorf("%s: %w", b.name, err)}
}

// readContent reads and verifies a small blob.
func (b *blob) readContent(ctx context.Context) ([]byte, error) {
	var data limitedBuffer
	_, _, err := b.storeTo(ctx, &data, Gzip, func(int) {})
	return data, err
}

// limitedBuffer holds at most maxJSON bytes.
type limitedBuffer []byte

func (l *limitedBuffer) Write(p []byte) (int, error) {
	if len(*l)+len(p) > maxJSON {
		return 0, fmt.Errorf("larger than the limit of %d bytes", maxJSON)
	}
	*l = append(*l, p...)
	return len(p), nil
}

// unpackTo writes the tar in r, which may be compressed with gzip or zstd, to w, and reads r to its end.
func unpackTo(w io.Writer, r io.Reader) error {
	unpacked, err := openUnpacked(r)
	if err != nil {
		return unpackError(err)
	}
	defer unpacked.Close()
	if _, err := io.Copy(w, unpacked); err != nil {
		return unpackError(err)
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

func hashSum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", h.Sum(nil))}
}

type countingHash struct {
	hash.Hash
	n int64
}

func (c *countingHash) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.Hash.Write(p)
}

type writeFunc func([]byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }
