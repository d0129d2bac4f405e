package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The first bytes of compressed streams: https://www.rfc-editor.org/rfc/rfc1952#page-6
// https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1
var gzipMagic = [2]byte{0x1f, 0x8b}

const zstdMagic = "\x28\xb5\x2f\xfd"

// compressionOf returns the compression of a stream that starts with head: "gzip", "zstd", or "" for none. A zstd stream may
// start with a frame to skip: https://www.rfc-editor.org/rfc/rfc8878#section-3.1.2
func compressionOf(head []byte) Compression {
	switch {
	case len(head) >= 2 && [2]byte(head[:2]) == gzipMagic:
		return Gzip
	case len(head) >= 4 && (string(head[:4]) == zstdMagic || head[0]>>4 == 5 && string(head[1:4]) == "\x2a\x4d\x18"):
		return Zstd
	}
	return ""
}

// spoolUnpacked unpacks a compressed tar into a temporary file, since only an uncompressed tar can be read by offset. The file
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
	return f, unpackTo(f, contextReader(ctx, r))
}

func unpackError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the compressed stream is truncated")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrCRCMismatch), errors.Is(err, zstd.ErrMagicMismatch):
		return errors.New("the compressed stream is damaged")
	}
	return fmt.Errorf("unpack: %w", err)
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
