package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// hasDiffID reports whether a layer of the repository is known to hold what b does.
func (e *engine) hasDiffID(b *blob) bool {
	_, there := e.layers[b.diffID]
	return there && b.Digest == (v1.Hash{})
}

// reuseLayer makes b that layer.
func (e *engine) reuseLayer(b *blob) {
	desc := e.layers[b.diffID]
	b.Digest, b.Size, b.MediaType = desc.Digest, desc.Size, desc.MediaType
	e.meter.countReused(b)
}

// pushBlob makes the repository hold b.
func (e *engine) pushBlob(ctx context.Context, b *blob) error {
	err := e.wire.retryRequest(ctx, func() error { return e.uploadBlob(ctx, b) })
	if err == nil || errors.As(err, new(damage)) || errors.As(err, new(sourceError)) {
		return err
	}
	return fmt.Errorf("%s: %w", b.name, explainError(err))
}

// uploadBlob tries once. A blob whose digest is known, also from a try before, may be there already.
func (e *engine) uploadBlob(ctx context.Context, b *blob) error {
	if b.Digest != (v1.Hash{}) {
		there, err := e.hasBlob(ctx, b)
		if err != nil {
			return err
		}
		if there {
			e.meter.countReused(b)
			return nil
		}
	}
	next, err := e.wire.beginUpload(ctx, b)
	if err != nil {
		return err
	}
	if next == "" {
		e.meter.countReused(b)
		return nil
	}
	if b.hasFinalDigest() {
		return e.forwardBlob(ctx, b, next)
	}
	pipe, into := io.Pipe()
	type written struct {
		digest v1.Hash
		size   int64
		err    error
	}
	packed := make(chan written, 1)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		var w written
		w.digest, w.size, w.err = b.storeTo(reading, e.meter.countSent(into), e.compression, e.meter.countRead(b))
		into.CloseWithError(w.err)
		packed <- w
	}()
	length := int64(-1)
	if b.Digest != (v1.Hash{}) && b.Size > 0 {
		length = b.Size
	}
	next, err = e.wire.streamUpload(ctx, next, pipe, length)
	pipe.CloseWithError(errStopped) // where the registry has answered before the end
	if errors.Is(err, errAnswer) || errors.As(err, new(*transport.Error)) {
		stop() // what has been answered need not wait for a source that is silent
	}
	w := <-packed
	switch {
	// What could not be read explains more than the request that broke off.
	case errors.As(w.err, new(damage)), errors.As(w.err, new(sourceError)), err == nil && w.err != nil:
		return w.err
	case err != nil:
		return err
	}
	b.Digest, b.Size, b.MediaType = w.digest, w.size, e.compression.mediaTypeOf(b)
	return e.wire.finishUpload(ctx, next, b.Digest, nil, 0)
}

// hasFinalDigest reports whether b is sent as it lies on this machine.
func (b *blob) hasFinalDigest() bool {
	return b.Digest != (v1.Hash{}) && b.from == nil && !b.compress && b.diffID == (v1.Hash{})
}

// forwardBlob sends a blob whose digest is known with the request that ends the upload, one round trip less:
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#post-then-put
// The registry checks it, ECR as well: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html
// Only where that goes wrong is it read once more, to tell what is damaged from what was lost on the way.
func (e *engine) forwardBlob(ctx context.Context, b *blob, next string) error {
	source, err := b.open(ctx)
	if err != nil {
		return b.blameError(ctx, err)
	}
	defer source.Close()
	err = e.wire.finishUpload(ctx, next, b.Digest, e.meter.countForwarded(b, source), b.Size)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if _, _, damaged := b.storeTo(ctx, io.Discard, e.compression, func(int) {}); damaged != nil {
		return damaged
	}
	return err
}

// hasBlob reports whether the repository is known to hold b, or says so. Not every registry takes over what is in another of
// its repositories, ECR only where that is switched on, so all is asked for:
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
func (e *engine) hasBlob(ctx context.Context, b *blob) (bool, error) {
	if e.blobs[b.Digest] {
		return true, nil
	}
	return e.wire.hasBlob(ctx, b.Digest)
}

var errStopped = fmt.Errorf("%w: it came before the end of the upload", errAnswer)
