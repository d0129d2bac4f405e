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
		return b.blame(ctx, err)
	}
	defer source.Close()
	plain, from := sha256.New(), counted(reader(ctx, source), e.meter.reader(b))
	if b.compress {
		_, err = io.CopyBuffer(plain, from, make([]byte, readSize))
	} else {
		err = unpack(plain, from)
	}
	if err != nil {
		return b.blame(ctx, err)
	}
	if have := sum(plain); have != b.diffID {
		return b.blame(ctx, fmt.Errorf("its content is %s, the config says %s", have, b.diffID))
	}
	e.reuse(b)
	return nil
}
