package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
)

// verifyContent reads a layer and verifies it against the config, either because its content is in the repository, whose
// layer is reused then, or because its bytes are uploaded unchanged.
func (e *engine) verifyContent(ctx context.Context, b *blob) error {
	if b.unchanged {
		return b.matchDiffID(ctx, func(int) {})
	}
	if err := b.matchDiffID(ctx, e.meter.countRead(b)); err != nil {
		return err
	}
	e.reuseLayer(b)
	return nil
}

// matchDiffID reads b and compares its uncompressed content with its diffID.
func (b *blob) matchDiffID(ctx context.Context, read func(int)) error {
	source, err := b.open(ctx)
	if err != nil {
		return b.wrapReadError(ctx, err)
	}
	defer source.Close()
	plain, from := sha256.New(), countReads(contextReader(ctx, source), read)
	if b.compress {
		_, err = io.CopyBuffer(plain, from, make([]byte, readSize))
	} else {
		err = unpackTo(plain, from)
	}
	if err != nil {
		return b.wrapReadError(ctx, err)
	}
	if have := hashSum(plain); have != b.diffID {
		return b.wrapReadError(ctx, fmt.Errorf("its content has the digest %s, not %s as in the config", have, b.diffID))
	}
	return nil
}
