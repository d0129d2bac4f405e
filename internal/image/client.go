package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// client accesses one repository through go-containerregistry.
type client struct {
	repo        name.Repository
	auth        authn.Authenticator
	backoff     time.Duration // before the second attempt; doubled after each attempt
	idleTimeout time.Duration // how long a connection may be idle

	mu     sync.Mutex
	pusher *remote.Pusher
	puller *remote.Puller
}

// connect authenticates to the registry once. The library's own retries are off, since retry replaces them.
func (c *client) connect(ctx context.Context) (*remote.Pusher, *remote.Puller, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pusher != nil {
		return c.pusher, c.puller, nil
	}
	authorized, err := transport.NewWithContext(ctx, c.repo.Registry, c.auth, newTransport(c.idleTimeout), []string{c.repo.Scope(transport.PushScope)})
	if err != nil {
		return nil, nil, err
	}
	options := []remote.Option{remote.WithTransport(authorized), remote.WithRetryBackoff(remote.Backoff{Steps: 1})}
	pusher, err := remote.NewPusher(options...)
	if err != nil {
		return nil, nil, err
	}
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return nil, nil, err
	}
	c.pusher, c.puller = pusher, puller
	return pusher, puller, nil
}

// parseReference parses a tag or a digest of the repository.
func (c *client) parseReference(ref string) (name.Reference, error) {
	if digest, err := name.NewDigest(c.repo.Name() + "@" + ref); err == nil {
		return digest, nil
	}
	tag, err := name.NewTag(c.repo.Name()+":"+ref, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("parse tag or digest %q: %w", ref, err)
	}
	return tag, nil
}

// isAbsent reports whether err is a 404. A registry that creates repositories on demand returns it before the first push;
// any other returns it again when an upload starts.
func isAbsent(err error) bool {
	var registryErr *transport.Error
	return errors.As(err, &registryErr) && registryErr.StatusCode == http.StatusNotFound
}

// fetchManifest returns the manifest that ref names, or nil if there is none.
func (c *client) fetchManifest(ctx context.Context, ref string) (*manifest, error) {
	m, err := c.getManifest(ctx, ref)
	if isAbsent(err) {
		return nil, nil
	}
	return m, err
}

// getManifest returns the manifest that ref names; that there is none is the registry's error.
func (c *client) getManifest(ctx context.Context, ref string) (m *manifest, err error) {
	reference, err := c.parseReference(ref)
	if err != nil {
		return nil, err
	}
	err = c.retry(ctx, func() error {
		_, puller, err := c.connect(ctx)
		if err != nil {
			return err
		}
		desc, err := puller.Get(ctx, reference)
		if err != nil {
			return err
		}
		m = &manifest{raw: desc.Manifest, Descriptor: v1.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}}
		if kind, _, err := mime.ParseMediaType(string(desc.MediaType)); err == nil {
			m.MediaType = types.MediaType(kind)
		}
		return nil
	})
	return m, err
}

// fetchJSON decodes a small JSON blob into v.
func (c *client) fetchJSON(ctx context.Context, digest v1.Hash, v any) error {
	return c.retry(ctx, func() error {
		_, puller, err := c.connect(ctx)
		if err != nil {
			return err
		}
		layer, err := puller.Layer(ctx, c.repo.Digest(digest.String()))
		if err != nil {
			return err
		}
		content, err := layer.Compressed() // verifies the digest
		if err != nil {
			return err
		}
		defer content.Close()
		data, err := io.ReadAll(io.LimitReader(content, maxJSON))
		if err != nil {
			return fmt.Errorf("read %s: %w", digest, err)
		}
		return json.Unmarshal(data, v)
	})
}

// uploadLayer tries once to upload the layer, unless the repository has it.
func (c *client) uploadLayer(ctx context.Context, layer v1.Layer) error {
	pusher, _, err := c.connect(ctx)
	if err != nil {
		return err
	}
	return pusher.Upload(ctx, c.repo, layer)
}

// putManifest writes a manifest under ref, a tag or its digest.
func (c *client) putManifest(ctx context.Context, ref string, m *manifest) error {
	reference, err := c.parseReference(ref)
	if err != nil {
		return err
	}
	return c.retry(ctx, func() error {
		pusher, _, err := c.connect(ctx)
		if err != nil {
			return err
		}
		return pusher.Put(ctx, reference, rawManifest{m})
	})
}

// rawManifest implements Taggable: https://pkg.go.dev/github.com/google/go-containerregistry/pkg/v1/remote#Taggable
type rawManifest struct{ m *manifest }

func (r rawManifest) RawManifest() ([]byte, error)        { return r.m.raw, nil }
func (r rawManifest) MediaType() (types.MediaType, error) { return r.m.MediaType, nil }
