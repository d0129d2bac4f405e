package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

var (
	// ErrNotFound is returned for a tag or digest that the repository does not hold.
	ErrNotFound = errors.New("not in the registry")
	// ErrNoRepository is returned when the registry has no such repository and does not make one by itself.
	ErrNoRepository = errors.New("the repository does not exist")
)

// TagConflictError says that a tag already names another image. Nothing was changed.
type TagConflictError struct {
	Ref  string // host/name:tag
	Have string // the digest in the registry
	Want string // the digest that was to be tagged
}

func (e *TagConflictError) Error() string {
	return fmt.Sprintf("tag %s: it already is %s, not %s", e.Ref, e.Have, e.Want)
}

// Repository is one repository of one registry.
type Repository struct {
	name    name.Repository
	options []remote.Option
	client  *client
	create  func(context.Context) error // nil: a repository that is missing is an error
}

// NewRepository returns the repository called name on host, reached as auth. It asks the registry nothing yet.
// Registries on loopback and private addresses are spoken to in plain HTTP, as by every tool on this library.
func NewRepository(host, repository string, auth authn.Authenticator) (*Repository, error) {
	registry, err := name.NewRegistry(host, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("read registry name %q: %w", host, err)
	}
	repo, err := name.NewRepository(registry.Name()+"/"+repository, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("read repository name %q: %w", repository, err)
	}
	return &Repository{
		name: repo, options: []remote.Option{remote.WithAuth(auth), remote.WithTransport(newTransport(defaultIdleTimeout))},
		client: &client{repo: repo, auth: auth, backoff: firstBackoff, idleTimeout: defaultIdleTimeout},
	}, nil
}

// URI is the image of that digest as a host pulls it, host/name@sha256:….
func (r *Repository) URI(digest string) string { return r.name.Name() + "@" + digest }

// Resolve returns the digest (sha256:…) that ref, a tag or a digest, names; ErrNotFound when there is none.
func (r *Repository) Resolve(ctx context.Context, ref string) (string, error) {
	reference, err := r.client.parseReference(ref)
	if err != nil {
		return "", err
	}
	desc, err := remote.Head(reference, r.remoteOptions(ctx)...)
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", reference, explainError(err))
	}
	return desc.Digest.String(), nil
}

// Size is how many bytes a host downloads for the image that digest names: its config and its layers, as the registry
// stores them. Of several platforms it is the largest one's.
func (r *Repository) Size(ctx context.Context, digest string) (int64, error) {
	reference, err := r.client.parseReference(digest)
	if err != nil {
		return 0, err
	}
	desc, err := remote.Get(reference, r.remoteOptions(ctx)...)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", reference, explainError(err))
	}
	var m struct {
		Config            v1.Descriptor
		Layers, Manifests []v1.Descriptor
	}
	if err := json.Unmarshal(desc.Manifest, &m); err != nil {
		return 0, fmt.Errorf("read %s: %w", reference, err)
	}
	size := m.Config.Size
	for _, layer := range m.Layers {
		size += layer.Size
	}
	for _, platform := range m.Manifests {
		one, err := r.Size(ctx, platform.Digest.String())
		if err != nil {
			return 0, err
		}
		size = max(size, one)
	}
	return size, nil
}

// Tag makes each of the tags name the image that digest names, moving tags that name another. A tag that the registry
// holds immutable is a TagConflictError, unless it already names this image.
func (r *Repository) Tag(ctx context.Context, digest string, tags ...string) error {
	reference, err := r.client.parseReference(digest)
	if err != nil {
		return err
	}
	desc, err := remote.Get(reference, r.remoteOptions(ctx)...)
	if err != nil {
		return fmt.Errorf("read %s: %w", reference, explainError(err))
	}
	m := &manifest{raw: desc.Manifest, Descriptor: desc.Descriptor}
	for _, tag := range tags {
		if err := r.putTag(ctx, tag, m); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repository) remoteOptions(ctx context.Context) []remote.Option {
	return append([]remote.Option{remote.WithContext(ctx)}, r.options...)
}

// explainError says in words what a registry's answer means to a caller.
func explainError(err error) error {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return err
	}
	for _, e := range answer.Errors {
		if e.Code == transport.NameUnknownErrorCode && answer.Request.Method != http.MethodGet {
			return ErrNoRepository
		}
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		switch answer.Request.Method {
		case http.MethodPatch, http.MethodPut:
			if isUploadLost(answer) {
				return fmt.Errorf("the registry does not know the upload that it has begun: %w", err)
			}
			return fmt.Errorf("the registry misses something that this refers to: %w", err)
		case http.MethodPost:
			return fmt.Errorf("%w: %w", ErrNoRepository, err)
		}
		return ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("the registry refuses the credentials: %w", err)
	}
	return err
}
