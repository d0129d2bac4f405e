package localaws

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// blobs stores layers by repository, like ECR: a layer that is pushed to one repository
// is missing in another.
type blobs struct{ ecr *ecr }

// Get implements registry.BlobHandler.
func (b blobs) Get(_ context.Context, name string, h v1.Hash) (io.ReadCloser, error) {
	content, err := b.readBlob(name, h)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// Stat implements registry.BlobStatHandler.
func (b blobs) Stat(_ context.Context, name string, h v1.Hash) (int64, error) {
	content, err := b.readBlob(name, h)
	return int64(len(content)), err
}

// Put implements registry.BlobPutHandler. Reading content returns an error at its end if
// its digest is not h.
func (b blobs) Put(_ context.Context, name string, h v1.Hash, content io.ReadCloser) error {
	all, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	r, ok := b.findRepository(name)
	if !ok {
		return registry.ErrNotFound
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blobs[h.String()] = all
	return nil
}

func (b blobs) readBlob(name string, h v1.Hash) ([]byte, error) {
	r, ok := b.findRepository(name)
	if !ok {
		return nil, registry.ErrNotFound
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	content, ok := r.blobs[h.String()]
	if !ok {
		return nil, registry.ErrNotFound
	}
	return content, nil
}

// findRepository works around a quirk of the registry, which names the target of an
// upload "name/blobs".
func (b blobs) findRepository(name string) (*repository, bool) {
	return b.ecr.findRepository(strings.TrimSuffix(name, "/blobs"))
}
