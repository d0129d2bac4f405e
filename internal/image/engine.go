package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// uploads is how many blobs are sent side by side.
const uploads = 4

// engine moves the bytes of one push. It writes no tags.
type engine struct {
	repo   name.Repository
	pusher *remote.Pusher
	meter  *meter
	sent   atomic.Int64
}

// seal gives m its digest: the layers of a docker save are compressed once to learn theirs.
func (e *engine) seal(ctx context.Context, m *manifest) error {
	if m.raw != nil {
		return nil
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, b := range m.blobs {
		if b.Digest == (v1.Hash{}) {
			group.Go(func() error { return b.measure(groupCtx) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	written := v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2, Config: m.blobs[0].Descriptor, Layers: []v1.Descriptor{}}
	for _, layer := range m.blobs[1:] {
		written.Layers = append(written.Layers, layer.Descriptor)
	}
	raw, err := json.Marshal(written)
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	m.raw, m.Digest, m.Size = raw, digestOf(raw), int64(len(raw))
	return nil
}

// send makes m and everything below it be in the repository by digest: blobs first, then manifests from the leaves up.
func (e *engine) send(ctx context.Context, m *manifest) error {
	if err := e.seal(ctx, m); err != nil {
		return err
	}
	blobs := map[v1.Hash]*blob{}
	for image := range m.images() {
		for _, b := range image.blobs {
			blobs[b.Digest] = b
			e.meter.expect(b.Digest, b.Size)
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(uploads)
	for _, b := range blobs {
		group.Go(func() error { return e.upload(groupCtx, b) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return e.put(ctx, m)
}

func (e *engine) upload(ctx context.Context, b *blob) error {
	source := &layer{engine: e, blob: b, ctx: ctx}
	var l v1.Layer = source
	if b.from != nil {
		l = &remote.MountableLayer{Layer: source, Reference: b.from}
	}
	if err := e.pusher.Upload(ctx, e.repo, l); err != nil {
		// What the image has wrong explains more than the request that broke off.
		if damage := source.damage.Load(); damage != nil {
			return *damage
		}
		return fmt.Errorf("%s: %w", b.name, explain(err))
	}
	e.meter.reach(b.Digest, b.Size)
	return nil
}

func (e *engine) put(ctx context.Context, m *manifest) error {
	for _, child := range m.children {
		if err := e.put(ctx, child); err != nil {
			return err
		}
	}
	if err := e.pusher.Push(ctx, e.repo.Digest(m.Digest.String()), rawManifest{m.raw, m.MediaType}); err != nil {
		return fmt.Errorf("manifest %s: %w", m.Digest, explain(err))
	}
	return nil
}

// layer is a blob as the library wants it.
type layer struct {
	*engine
	blob   *blob
	ctx    context.Context // the library's Compressed takes none
	damage atomic.Pointer[error]
}

func (l *layer) Digest() (v1.Hash, error)             { return l.blob.Digest, nil }
func (l *layer) DiffID() (v1.Hash, error)             { return l.blob.diffID, nil }
func (l *layer) Size() (int64, error)                 { return l.blob.Size, nil }
func (l *layer) MediaType() (types.MediaType, error)  { return l.blob.MediaType, nil }
func (l *layer) Uncompressed() (io.ReadCloser, error) { return l.blob.open(l.ctx) }

func (l *layer) Compressed() (io.ReadCloser, error) {
	l.damage.Store(nil) // of an attempt before
	r, err := l.blob.stored(l.ctx)
	if err != nil {
		l.damage.Store(&err)
		return nil, err
	}
	var done int64
	counted := readFunc(func(p []byte) (int, error) {
		n, err := r.Read(p)
		l.sent.Add(int64(n))
		done += int64(n)
		l.meter.reach(l.blob.Digest, done)
		if err != nil && err != io.EOF && l.ctx.Err() == nil {
			l.damage.Store(&err)
		}
		return n, err
	})
	return struct {
		io.Reader
		io.Closer
	}{counted, r}, nil
}

// rawManifest is a manifest that is sent as it is.
type rawManifest struct {
	raw       []byte
	mediaType types.MediaType
}

func (m rawManifest) RawManifest() ([]byte, error)        { return m.raw, nil }
func (m rawManifest) MediaType() (types.MediaType, error) { return m.mediaType, nil }
