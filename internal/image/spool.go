package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
)

// The first bytes of compressed streams: https://www.rfc-editor.org/rfc/rfc1952#page-6
// https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1
var gzipMagic = [2]byte{0x1f, 0x8b}

const zstdMagic = "\x28\xb5\x2f\xfd"

func isGzip(r io.ReaderAt) bool {
	var magic [2]byte
	n, _ := r.ReadAt(magic[:], 0)
	return n == len(magic) && magic == gzipMagic
}

// spoolUnpacked unpacks a gzip'd tar into a temporary file, since only an uncompressed tar can be read by offset. The file
// is already unlinked, so it disappears when it is closed or the process ends.
func spoolUnpacked(ctx context.Context, r io.Reader) (_ *os.File, err error) {
	f, err := os.CreateTemp("", "image-*.tar")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := os.Remove(f.Name()); err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return nil, gunzipError(err)
	}
	if _, err := io.Copy(f, contextReader(ctx, unpacked)); err != nil {
		return nil, gunzipError(err)
	}
	return f, nil
}

func gunzipError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the gzip stream is truncated")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		return errors.New("the gzip stream is damaged")
	}
	return fmt.Errorf("unpack gzip: %w", err)
}

// contextReader reads r until ctx is done.
func contextReader(ctx context.Context, r io.Reader) io.Reader {
	return readFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return r.Read(p)
	})
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
