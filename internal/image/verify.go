package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
)

// verifyContent reads a layer whose content the repository has, compares it with the config, and reuses the repository's layer.
func (e *engine) verifyContent(ctx context.Context, b *blob) error {
	source, err := b.open(ctx)
	if err != nil {
		return b.wrapReadError(ctx, err)
	}
	defer source.Close()
	plain, from := sha256.New(), countReads(contextReader(ctx, source), e.meter.countRead(b))
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
	e.reuseLayer(b)
	return nil
}
