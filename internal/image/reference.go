package image

import (
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// registry is the store of an image that is copied unchanged from a registry.
type registry struct {
	repo   name.Repository
	puller *remote.Puller
}

func readReference(ctx context.Context, ref name.Reference, keychain authn.Keychain) (*manifest, error) {
	puller, err := remote.NewPuller(remote.WithAuthFromKeychain(keychain), remote.WithTransport(newTransport(defaultIdleTimeout)))
	if err != nil {
		return nil, err
	}
	desc, err := puller.Get(ctx, ref)
	if err != nil {
		return nil, explainError(err)
	}
	return walkManifests(ctx, registry{ref.Context(), puller}, desc.Descriptor)
}

func (r registry) readManifest(ctx context.Context, desc v1.Descriptor) ([]byte, error) {
	found, err := r.puller.Get(ctx, r.repo.Digest(desc.Digest.String()))
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", desc.Digest, explainError(err))
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
				return nil, explainError(err)
			}
			r, err := layer.Compressed()
			if err != nil {
				return nil, explainError(err)
			}
			return r, nil
		},
	}, nil
}
