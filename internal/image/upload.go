package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// alike reports whether a layer of the repository is known to hold what b does.
func (e *engine) alike(b *blob) bool {
	_, there := e.layers[b.diffID]
	return there && b.Digest == (v1.Hash{})
}

// reuse makes b that layer.
func (e *engine) reuse(b *blob) {
	desc := e.layers[b.diffID]
	b.Digest, b.Size, b.MediaType = desc.Digest, desc.Size, desc.MediaType
	e.meter.reuse(b)
}

// settle makes the repository hold b.
func (e *engine) settle(ctx context.Context, b *blob) error {
	err := e.wire.sure(ctx, func() error { return e.upload(ctx, b) })
	if err == nil || errors.As(err, new(damage)) || errors.As(err, new(sourceError)) {
		return err
	}
	return fmt.Errorf("%s: %w", b.name, explain(err))
}

// upload tries once. A blob whose digest is known, also from a try before, may be there already.
func (e *engine) upload(ctx context.Context, b *blob) error {
	if b.Digest != (v1.Hash{}) {
		there, err := e.has(ctx, b)
		if err != nil {
			return err
		}
		if there {
			e.meter.reuse(b)
			return nil
		}
	}
	next, err := e.wire.begin(ctx, b)
	if err != nil {
		return err
	}
	if next == "" {
		e.meter.reuse(b)
		return nil
	}
	if b.known() {
		return e.forward(ctx, b, next)
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
		w.digest, w.size, w.err = b.stored(reading, e.meter.writer(into), e.compression, e.meter.reader(b))
		into.CloseWithError(w.err)
		packed <- w
	}()
	length := int64(-1)
	if b.Digest != (v1.Hash{}) && b.Size > 0 {
		length = b.Size
	}
	next, err = e.wire.stream(ctx, next, pipe, length)
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
	b.Digest, b.Size, b.MediaType = w.digest, w.size, e.compression.of(b)
	return e.wire.finish(ctx, next, b.Digest, nil, 0)
}

// known reports whether b is sent as it lies on this machine.
func (b *blob) known() bool {
	return b.Digest != (v1.Hash{}) && b.from == nil && !b.compress && b.diffID == (v1.Hash{})
}

// forward sends a blob whose digest is known with the request that ends the upload, one round trip less:
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#post-then-put
// The registry checks it, ECR as well: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html
// Only where that goes wrong is it read once more, to tell what is damaged from what was lost on the way.
func (e *engine) forward(ctx context.Context, b *blob, next string) error {
	source, err := b.open(ctx)
	if err != nil {
		return b.blame(ctx, err)
	}
	defer source.Close()
	err = e.wire.finish(ctx, next, b.Digest, e.meter.both(b, source), b.Size)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if _, _, damaged := b.stored(ctx, io.Discard, e.compression, func(int) {}); damaged != nil {
		return damaged
	}
	return err
}

// has reports whether the repository is known to hold b, or says so. Not every registry takes over what is in another of
// its repositories, ECR only where that is switched on, so all is asked for:
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
func (e *engine) has(ctx context.Context, b *blob) (bool, error) {
	if e.blobs[b.Digest] {
		return true, nil
	}
	return e.wire.has(ctx, b.Digest)
}

var errStopped = fmt.Errorf("%w: it came before the end of the upload", errAnswer)
