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

var errStopped = errors.New("the registry responded before the end of the upload")

// hasDiffID reports whether a layer of the repository is known to have the content of b.
func (e *engine) hasDiffID(b *blob) bool {
	_, known := e.layers[b.diffID]
	return known && b.Digest == (v1.Hash{})
}

// reuseLayer sets b's descriptor to that of the repository's layer with the same content.
func (e *engine) reuseLayer(b *blob) {
	desc := e.layers[b.diffID]
	b.Digest, b.Size, b.MediaType = desc.Digest, desc.Size, desc.MediaType
	e.meter.countReused(b)
}

// pushBlob uploads b, unless the repository has it, and retries.
func (e *engine) pushBlob(ctx context.Context, b *blob) error {
	err := e.client.retry(ctx, func() error { return e.uploadBlob(ctx, b) })
	if err == nil || errors.As(err, new(contentError)) || errors.As(err, new(sourceError)) {
		return err
	}
	if isHangUp(err) {
		err = fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	return fmt.Errorf("%s: %w", b.name, explainError(err))
}

// uploadBlob tries once. A blob whose digest is known, such as from an earlier attempt, may be in the repository already;
// the library checks that first. A blob of another repository of the registry is mounted if the registry supports it, ECR
// only if it is enabled: https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
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
	case pass != nil && (errors.As(pass.err, new(contentError)) || errors.As(pass.err, new(sourceError))):
		return pass.err // the cause of the broken request
	case err == nil && !u.opened:
		e.meter.countReused(b)
	case err != nil && u.opened && b.unchanged && ctx.Err() == nil:
		return e.explainForwarding(ctx, b, err)
	}
	return err
}

// explainForwarding reads b again after an upload of the unchanged blob failed with err, and returns the content error if b
// is damaged, otherwise err.
func (e *engine) explainForwarding(ctx context.Context, b *blob, err error) error {
	if _, _, damaged := b.storeTo(ctx, io.Discard, e.compression, func(int) {}); damaged != nil {
		return damaged
	}
	return err
}

// upload is one attempt to upload a blob, as a v1.Layer whose content is compressed, verified, hashed and sent in one pass
// and whose digest is known at the end. Unlike a stream.Layer, it can be opened again and compresses on several cores:
// https://pkg.go.dev/github.com/google/go-containerregistry/pkg/v1/stream
type upload struct {
	*blob
	engine  *engine
	context func() context.Context

	mu     sync.Mutex
	opened bool
	last   *pass
}

// pass is one pass over a blob from its start to its end.
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

// Compressed implements v1.Layer. Each call ends the previous pass and reads the blob from its start.
func (u *upload) Compressed() (io.ReadCloser, error) {
	u.endPass()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.opened = true
	meter := u.engine.meter
	if u.unchanged {
		// The registry verifies the digest, ECR as well:
		// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html
		source, err := u.open(u.context())
		if err != nil {
			return nil, u.wrapReadError(u.context(), err)
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

// endPass ends the last pass, even if the registry responded before its end or the source is idle, and returns it; nil
// before the first.
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
