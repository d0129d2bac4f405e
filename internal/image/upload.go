package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/stream"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

var errStopped = errors.New("the registry answered before the end of the upload")

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
	err := e.client.retry(ctx, func() error { return e.uploadBlob(ctx, b) })
	if err == nil || errors.As(err, new(damage)) || errors.As(err, new(sourceError)) {
		return err
	}
	return fmt.Errorf("%s: %w", b.name, explainError(err))
}

// uploadBlob tries once. A blob whose digest is known, also from a try before, may be there already. Not every registry takes
// over what is in another of its repositories, ECR only where that is switched on, so what is not known to be there is asked
// for: https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
func (e *engine) uploadBlob(ctx context.Context, b *blob) error {
	if e.blobs[b.Digest] {
		e.meter.countReused(b)
		return nil
	}
	u := &upload{blob: b, engine: e, context: func() context.Context { return ctx }}
	layer := v1.Layer(u)
	if b.from != nil && b.from.Context().RegistryStr() == e.client.repo.RegistryStr() {
		layer = &remote.MountableLayer{Layer: u, Reference: b.from}
	}
	err := e.client.uploadLayer(ctx, layer)
	switch pass := u.endPass(); {
	case pass != nil && pass.err == nil:
		b.Digest, b.Size, b.MediaType = pass.digest, pass.size, e.compression.mediaTypeOf(b)
	case pass != nil && (errors.As(pass.err, new(damage)) || errors.As(pass.err, new(sourceError))):
		return pass.err // explains more than the request that broke off
	case err == nil && !u.opened:
		e.meter.countReused(b)
	case err != nil && u.opened && b.hasFinalDigest() && ctx.Err() == nil:
		return e.explainForwarding(ctx, b, err)
	}
	return err
}

// hasFinalDigest reports whether b is sent as it lies on this machine. The registry checks it, ECR as well:
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html
func (b *blob) hasFinalDigest() bool {
	return b.Digest != (v1.Hash{}) && b.from == nil && !b.compress && b.diffID == (v1.Hash{})
}

// explainForwarding reads b once more where sending it as it is has failed, to tell what is damaged from what was lost on the
// way.
func (e *engine) explainForwarding(ctx context.Context, b *blob, err error) error {
	if _, _, damaged := b.storeTo(ctx, io.Discard, e.compression, func(int) {}); damaged != nil {
		return damaged
	}
	return err
}

// upload is one attempt to send a blob, as the library asks for a layer: its content is compressed, checked, digested and sent
// in one pass, and its digest is known at the end: https://pkg.go.dev/github.com/google/go-containerregistry/pkg/v1/stream
// A stream.Layer cannot be opened again, and compresses on one core.
type upload struct {
	*blob
	engine  *engine
	context func() context.Context

	mu     sync.Mutex
	opened bool
	last   *pass
}

// pass is one reading of a blob from its start to its end.
type pass struct {
	reader *io.PipeReader
	cancel context.CancelFunc
	ended  chan struct{}
	digest v1.Hash
	size   int64
	err    error
}

// Digest implements v1.Layer.
func (u *upload) Digest() (v1.Hash, error) {
	if u.blob.Digest != (v1.Hash{}) {
		return u.blob.Digest, nil
	}
	pass := u.endPass()
	if pass == nil {
		return v1.Hash{}, stream.ErrNotComputed
	}
	return pass.digest, pass.err
}

// DiffID implements v1.Layer.
func (u *upload) DiffID() (v1.Hash, error) {
	if u.diffID == (v1.Hash{}) {
		return v1.Hash{}, stream.ErrNotComputed
	}
	return u.diffID, nil
}

// Size implements v1.Layer.
func (u *upload) Size() (int64, error) {
	if u.blob.Digest == (v1.Hash{}) {
		return 0, stream.ErrNotComputed
	}
	return u.blob.Size, nil
}

// MediaType implements v1.Layer.
func (u *upload) MediaType() (types.MediaType, error) {
	return u.engine.compression.mediaTypeOf(u.blob), nil
}

// Uncompressed implements v1.Layer.
func (u *upload) Uncompressed() (io.ReadCloser, error) { return nil, errors.ErrUnsupported }

// Compressed implements v1.Layer: each call reads the blob from its start, and ends what read it before.
func (u *upload) Compressed() (io.ReadCloser, error) {
	u.endPass()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.opened = true
	meter := u.engine.meter
	if u.hasFinalDigest() {
		source, err := u.open(u.context())
		if err != nil {
			return nil, u.blameError(u.context(), err)
		}
		return readCloser{meter.countForwarded(u.blob, source), source}, nil
	}
	ctx, cancel := context.WithCancel(u.context())
	reader, writer := io.Pipe()
	p := &pass{reader: reader, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.digest, p.size, p.err = u.storeTo(ctx, meter.countSent(writer), u.engine.compression, meter.countRead(u.blob))
		writer.CloseWithError(p.err)
	}()
	u.last = p
	return reader, nil
}

// endPass ends the last pass, where the registry has answered before the end, and returns it; nil before the first. A source
// that is silent is not waited for.
func (u *upload) endPass() *pass {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last != nil {
		u.last.reader.CloseWithError(errStopped)
		u.last.cancel()
		<-u.last.ended
	}
	return u.last
}

type readCloser struct {
	io.Reader
	io.Closer
}
