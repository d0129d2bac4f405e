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

// client speaks with one repository, by go-containerregistry.
type client struct {
	repo        name.Repository
	auth        authn.Authenticator
	backoff     time.Duration // before the second attempt, doubled from attempt to attempt
	idleTimeout time.Duration // how long nothing may move on a connection

	mu     sync.Mutex
	pusher *remote.Pusher
	puller *remote.Puller
}

// connect asks the registry once how to log in. The library's own retries are off: retry has them.
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

// parseReference reads a tag or a digest of the repository.
func (c *client) parseReference(ref string) (name.Reference, error) {
	if digest, err := name.NewDigest(c.repo.Name() + "@" + ref); err == nil {
		return digest, nil
	}
	tag, err := name.NewTag(c.repo.Name()+":"+ref, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("read tag or digest %q: %w", ref, err)
	}
	return tag, nil
}

// isAbsent reports whether err says that there is nothing. A registry that makes repositories by itself does not know the
// name before the first push; one that does not says so again when an upload begins.
func isAbsent(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

// fetchManifest reads what ref names; nil when there is nothing.
func (c *client) fetchManifest(ctx context.Context, ref string) (m *manifest, err error) {
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
		if isAbsent(err) {
			return nil
		} else if err != nil {
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

// fetchJSON reads a small blob.
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
		content, err := layer.Compressed() // and checked against the digest
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

// uploadLayer tries once to make the repository hold the layer.
func (c *client) uploadLayer(ctx context.Context, layer v1.Layer) error {
	pusher, _, err := c.connect(ctx)
	if err != nil {
		return err
	}
	return pusher.Upload(ctx, c.repo, layer)
}

// putManifest writes a manifest as what ref names.
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

// rawManifest is a manifest as the library puts it: https://pkg.go.dev/github.com/google/go-containerregistry/pkg/v1/remote#Taggable
type rawManifest struct{ m *manifest }

func (r rawManifest) RawManifest() ([]byte, error)        { return r.m.raw, nil }
func (r rawManifest) MediaType() (types.MediaType, error) { return r.m.MediaType, nil }
