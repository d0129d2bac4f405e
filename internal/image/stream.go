package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
)

// stored opens the bytes of the blob as the registry is to have them. Reading fails before the last byte is given
// unless they are what the descriptor says.
func (b *blob) stored(ctx context.Context) (io.ReadCloser, error) {
	r, err := b.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.name, err)
	}
	if b.compress {
		r = gzipped(r)
	}
	return &checked{blob: b, r: r, hash: sha256.New()}, nil
}

// measure finds out the digest and size of a docker save's layer as it will be sent, and checks what is in it.
func (b *blob) measure(ctx context.Context) error {
	r, err := b.open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", b.name, err)
	}
	defer r.Close()
	plain, sent := sha256.New(), &counter{Hash: sha256.New()}
	if b.compress {
		err = compress(sent, io.TeeReader(reader(ctx, r), plain))
	} else {
		err = unpack(plain, io.TeeReader(reader(ctx, r), sent))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", b.name, err)
	}
	if have := sum(plain); have != b.diffID {
		return fmt.Errorf("%s: its content is %s, the config says %s", b.name, have, b.diffID)
	}
	b.Digest, b.Size = sum(sent), sent.n
	return nil
}

// compress is deterministic: the same layer has the same digest wherever it is pushed from.
func compress(w io.Writer, r io.Reader) error {
	zw, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	_, err = io.Copy(zw, r)
	return errors.Join(err, zw.Close())
}

// unpack also reads what may follow the gzip stream.
func unpack(w io.Writer, r io.Reader) error {
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

// gzipped compresses r while it is read.
func gzipped(r io.ReadCloser) io.ReadCloser {
	pr, pw := io.Pipe()
	go func() {
		err := compress(pw, r)
		pw.CloseWithError(errors.Join(err, r.Close()))
	}()
	return pr
}

func sum(h hash.Hash) v1.Hash {
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

// checked compares what is read with the blob's descriptor.
type checked struct {
	blob *blob
	r    io.ReadCloser
	hash hash.Hash
	n    int64
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.hash.Write(p[:n])
	c.n += int64(n)
	switch {
	case err != nil && err != io.EOF:
		return n, fmt.Errorf("%s: %w", c.blob.name, err)
	case c.n > c.blob.Size || err == io.EOF && c.n < c.blob.Size:
		return 0, fmt.Errorf("%s: it does not have the %d bytes of its descriptor", c.blob.name, c.blob.Size)
	case c.n == c.blob.Size && sum(c.hash) != c.blob.Digest:
		// Without its last bytes the request cannot succeed.
		return 0, fmt.Errorf("%s: damaged, its content is %s", c.blob.name, sum(c.hash))
	}
	return n, err
}

func (c *checked) Close() error { return c.r.Close() }
