package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// registry is the store of an image that is copied unchanged from a registry.
type registry struct {
	repo      name.Repository
	puller    *remote.Puller
	anonymous bool // nobody has logged in
}

func readReference(ctx context.Context, ref name.Reference, keychain authn.Keychain) (*manifest, error) {
	puller, err := remote.NewPuller(remote.WithAuthFromKeychain(keychain), remote.WithTransport(newTransport(defaultIdleTimeout)))
	if err != nil {
		return nil, err
	}
	r := registry{ref.Context(), puller, isAnonymous(ctx, keychain, ref.Context())}
	desc, err := puller.Get(ctx, ref)
	if err != nil {
		return nil, r.explainError(err)
	}
	return walkManifests(ctx, r, desc.Descriptor)
}

// explainError names a missing login, without which a registry may show nothing, or too few images.
func (r registry) explainError(err error) error {
	var answer *transport.Error
	if r.anonymous && errors.As(err, &answer) {
		switch answer.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
			return fmt.Errorf("%w: %w", ErrNoLogin, err)
		}
	}
	return explainError(err)
}

// isAnonymous reports whether keychain has no login for a repository.
func isAnonymous(ctx context.Context, keychain authn.Keychain, repo name.Repository) bool {
	login, err := authn.Resolve(ctx, keychain, repo)
	return err == nil && login == authn.Anonymous
}

func (r registry) readManifest(ctx context.Context, desc v1.Descriptor) ([]byte, error) {
	found, err := r.puller.Get(ctx, r.repo.Digest(desc.Digest.String()))
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", desc.Digest, r.explainError(err))
	}
	return found.Manifest, nil
}

func (r registry) openBlob(desc v1.Descriptor) (*blob, error) {
	ref := r.repo.Digest(desc.Digest.String())
	return &blob{
		Descriptor: desc,
		length:     desc.Size,
		from:       ref,
		open: func(ctx context.Context) (io.ReadCloser, error) {
			layer, err := r.puller.Layer(ctx, ref)
			if err != nil {
				return nil, r.explainError(err)
			}
			content, err := layer.Compressed()
			if err != nil {
				return nil, r.explainError(err)
			}
			return content, nil
		},
	}, nil
}
