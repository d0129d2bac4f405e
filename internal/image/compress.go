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
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Compression is how layers are compressed that are not compressed yet.
type Compression string

const (
	// Gzip is understood by everything that pulls images.
	Gzip Compression = "gzip"
	// Zstd is pulled by Docker 23.0, containerd 1.5 and later:
	// https://docs.docker.com/engine/release-notes/23.0/ https://github.com/containerd/containerd/releases/tag/v1.5.0
	Zstd Compression = "zstd"
)

// zstdLevel is the one that takes the least time over the links that GitHub's runners have: docs/benchmarks.md. A digest
// depends on it, and so it is never that of the machine.
const zstdLevel = zstd.SpeedFastest

// The compressors of all layers, so that no more blocks are compressed at once than there are cores.
var (
	gzipPack = sync.OnceValue(func() pack { return gzipMembers(gzipLevel) })
	zstdPack = sync.OnceValues(func() (pack, error) { return zstdFrames(zstdLevel) })
)

// mediaTypeOf is the media type of a layer when it is stored.
func (c Compression) mediaTypeOf(b *blob) types.MediaType {
	switch {
	case !b.compress:
		return b.MediaType
	case c == Zstd:
		return types.OCILayerZStd
	}
	return types.OCILayer
}

// matchesMediaType reports whether a layer of that media type is compressed this way.
func (c Compression) matchesMediaType(layer types.MediaType) bool {
	if c == Zstd {
		return layer == types.OCILayerZStd
	}
	return layer == types.DockerLayer || layer == types.OCILayer
}

// newPacker compresses into w with every core. What it writes depends on what it reads alone.
func (c Compression) newPacker(w io.Writer) (*blocks, error) {
	if c == Zstd {
		p, err := zstdPack()
		if err != nil {
			return nil, err
		}
		return newBlocks(w, p), nil
	}
	return newBlocks(w, gzipPack()), nil
}

// damage is an error that lies in the image, not in the registry or on the way to it.
type damage struct{ error }

func (d damage) Unwrap() error { return d.error }

// storeTo writes to w the bytes of b as the registry is to have them, in one pass, and returns their digest and size.
// What it has written is to be believed only without an error. read is told of the bytes read from the source.
func (b *blob) storeTo(ctx context.Context, w io.Writer, c Compression, read func(int)) (v1.Hash, int64, error) {
	source, err := b.open(ctx)
	if err != nil {
		return v1.Hash{}, 0, b.blameError(ctx, err)
	}
	defer source.Close()
	var refused error // by w
	plain, sent := sha256.New(), &counter{Hash: sha256.New()}
	from := countReads(contextReader(ctx, source), read)
	to := writeFunc(func(p []byte) (int, error) {
		_, _ = sent.Write(p)
		n, err := w.Write(p)
		if err != nil {
			refused = err
		}
		return n, err
	})
	switch {
	case b.compress:
		var p *blocks
		if p, err = c.newPacker(to); err == nil {
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
	case refused != nil:
		return v1.Hash{}, 0, refused
	case err != nil:
		return v1.Hash{}, 0, b.blameError(ctx, err)
	case b.diffID != v1.Hash{} && hashSum(plain) != b.diffID:
		return v1.Hash{}, 0, b.blameError(ctx, fmt.Errorf("its content is %s, the config says %s", hashSum(plain), b.diffID))
	case b.Digest != v1.Hash{} && sent.n != b.Size:
		return v1.Hash{}, 0, b.blameError(ctx, fmt.Errorf("it does not have the %d bytes of its descriptor", b.Size))
	case b.Digest != v1.Hash{} && digest != b.Digest:
		return v1.Hash{}, 0, b.blameError(ctx, fmt.Errorf("damaged, its content is %s", digest))
	}
	return digest, sent.n, nil
}

// countReads tells read of the bytes that are read from r.
func countReads(r io.Reader, read func(int)) io.Reader {
	return readFunc(func(buf []byte) (int, error) {
		n, err := r.Read(buf)
		read(n)
		return n, err
	})
}

// sourceError is an error of the registry that a blob is read from, not of the one that it goes to.
type sourceError struct{ error }

func (e sourceError) Unwrap() error { return e.error }

// blameError names the blob in an error of reading it. What is read from a registry may be well the next time.
func (b *blob) blameError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", b.name, err)
	case b.from != nil:
		return sourceError{fmt.Errorf("%s: read from %s: %w", b.name, b.from.Context().RegistryStr(), err)}
	}
	return damage{fmt.Errorf("%s: %w", b.name, err)}
}

// readContent reads a small blob and checks it.
func (b *blob) readContent(ctx context.Context) ([]byte, error) {
	var data limited
	_, _, err := b.storeTo(ctx, &data, Gzip, func(int) {})
	return data, err
}

// limited holds what is written to it, as long as it is small.
type limited []byte

func (l *limited) Write(p []byte) (int, error) {
	if len(*l)+len(p) > maxJSON {
		return 0, fmt.Errorf("more than %d bytes are too many", maxJSON)
	}
	*l = append(*l, p...)
	return len(p), nil
}

// unpackTo also reads what may follow the gzip stream.
func unpackTo(w io.Writer, r io.Reader) error {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return gunzipError(err)
	}
	if _, err := io.Copy(w, zr); err != nil {
		return gunzipError(err)
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

func hashSum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", h.Sum(nil))}
}

type counter struct {
	hash.Hash
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.Hash.Write(p)
}

type writeFunc func([]byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }
