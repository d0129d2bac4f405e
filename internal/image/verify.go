package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
)

// verifyContent reads a layer whose content the repository holds, checks it against the config, and reuses what the
// repository has. Nothing is sent.
func (e *engine) verifyContent(ctx context.Context, b *blob) error {
	source, err := b.open(ctx)
	if err != nil {
		return b.blameError(ctx, err)
	}
	defer source.Close()
	plain, from := sha256.New(), countReads(contextReader(ctx, source), e.meter.countRead(b))
	if b.compress {
		_, err = io.CopyBuffer(plain, from, make([]byte, readSize))
	} else {
		err = unpackTo(plain, from)
	}
	if err != nil {
		return b.blameError(ctx, err)
	}
	if have := hashSum(plain); have != b.diffID {
		return b.blameError(ctx, fmt.Errorf("its content is %s, the config says %s", have, b.diffID))
	}
	e.reuseLayer(b)
	return nil
}
