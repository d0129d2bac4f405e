package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

var (
	// ErrNotFound is returned for a tag or digest that is not in the repository.
	ErrNotFound = errors.New("not in the registry")
	// ErrNoLogin is returned if a registry refuses to show an image, or one more, to somebody who has not logged in.
	ErrNoLogin = errors.New("not logged in to the registry, which refuses anonymous requests")
	// ErrNoRepository is returned if the repository does not exist and the registry does not create it on demand.
	ErrNoRepository = errors.New("the repository does not exist")
	// ErrQuota is returned if the repository has as many images, or the image as many tags, as ECR allows.
	ErrQuota = errors.New("a quota of ECR is reached")
	// ErrDenied is returned if a policy denies what the registry was asked for.
	ErrDenied = errors.New("the registry denies access")
	// ErrHungUp is returned if the registry closes the connection instead of answering the start of an upload. ECR does so
	// for a repository that does not exist, and without ecr:InitiateLayerUpload:
	// https://github.com/aws/containers-roadmap/issues/1970
	ErrHungUp = errors.New("the registry closes the connection when an upload starts")
)

// TagConflictError is returned if a tag already names another image. Nothing was changed.
type TagConflictError struct {
	Ref  string // host/name:tag
	Have string // the digest in the registry
	Want string // the digest to be tagged
}

func (e *TagConflictError) Error() string {
	return fmt.Sprintf("tag %s already names %s, not %s", e.Ref, e.Have, e.Want)
}

// Repository is one repository of one registry.
type Repository struct {
	name   name.Repository
	client *client
	create func(context.Context) error // nil: a missing repository is an error
}

// NewRepository returns the repository with this name on host, accessed with auth. It sends no request yet.
// Registries on loopback and private addresses are accessed with plain HTTP, as in every tool that uses this library.
func NewRepository(host, repository string, auth authn.Authenticator) (*Repository, error) {
	registry, err := name.NewRegistry(host, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("parse registry host %q: %w", host, err)
	}
	repo, err := name.NewRepository(registry.Name()+"/"+repository, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("parse repository name %q: %w", repository, err)
	}
	return &Repository{name: repo, client: &client{repo: repo, auth: auth, backoff: firstBackoff, idleTimeout: defaultIdleTimeout}}, nil
}

// URI returns the reference by which a host pulls the image, host/name@sha256:….
func (r *Repository) URI(digest string) string { return r.name.Name() + "@" + digest }

// referenceTo returns the reference to a tag or a digest of the repository.
func (r *Repository) referenceTo(ref string) string {
	if strings.Contains(ref, ":") {
		return r.URI(ref)
	}
	return r.name.Name() + ":" + ref
}

// Resolve returns the digest (sha256:…) of the image that ref, a tag or a digest, names, or ErrNotFound.
func (r *Repository) Resolve(ctx context.Context, ref string) (string, error) {
	m, err := r.client.getManifest(ctx, ref)
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", r.referenceTo(ref), explainError(err))
	}
	return m.Digest.String(), nil
}

// Size returns how many bytes a host downloads for the image: its config and its layers, as stored in the registry. For
// several platforms it is the size of the largest image for Linux.
func (r *Repository) Size(ctx context.Context, digest string) (int64, error) {
	return r.downloadSize(ctx, digest, visited{})
}

func (r *Repository) downloadSize(ctx context.Context, digest string, v visited) (int64, error) {
	found, err := r.client.getManifest(ctx, digest)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", r.URI(digest), explainError(err))
	}
	var m struct {
		Config            v1.Descriptor
		Layers, Manifests []v1.Descriptor
	}
	if err := decodeJSON(found.raw, &m); err != nil {
		return 0, fmt.Errorf("read %s: %w", r.URI(digest), err)
	}
	size := m.Config.Size
	for _, layer := range m.Layers {
		size += layer.Size
	}
	for _, platform := range m.Manifests {
		if p := platform.Platform; p != nil && p.OS != "" && p.OS != "linux" {
			continue // no host pulls the attestations and the images for Windows, whose layers are large
		}
		fresh, err := v.markRead(platform.Digest)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", r.URI(digest), err)
		}
		if !fresh {
			continue
		}
		platformSize, err := r.downloadSize(ctx, platform.Digest.String(), v)
		if err != nil {
			return 0, err
		}
		size = max(size, platformSize)
	}
	return size, nil
}

// Tag sets each of the tags to the image with this digest, and moves tags that name another image. For an immutable tag of
// another image, the error is a TagConflictError.
func (r *Repository) Tag(ctx context.Context, digest string, tags ...string) error {
	m, err := r.client.getManifest(ctx, digest)
	if err != nil {
		return fmt.Errorf("read %s: %w", r.URI(digest), explainError(err))
	}
	for _, tag := range tags {
		if err := r.putTag(ctx, tag, m); err != nil {
			return err
		}
	}
	return nil
}

// explainError translates an error response of a registry into an error for the caller.
func explainError(err error) error {
	var registryErr *transport.Error
	if !errors.As(err, &registryErr) {
		return err
	}
	for _, e := range registryErr.Errors {
		if e.Code == transport.NameUnknownErrorCode && registryErr.Request.Method != http.MethodGet {
			return ErrNoRepository
		}
	}
	switch registryErr.StatusCode {
	case http.StatusNotFound:
		switch registryErr.Request.Method {
		case http.MethodPatch, http.MethodPut:
			if isUploadLost(registryErr) {
				return fmt.Errorf("the registry lost the upload: %w", err)
			}
			return fmt.Errorf("the registry lacks a blob or manifest that is referenced: %w", err)
		case http.MethodPost:
			return fmt.Errorf("%w: %w", ErrNoRepository, err)
		}
		return ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		if strings.Contains(err.Error(), "the maximum allowed number of") {
			return fmt.Errorf("%w: %w", ErrQuota, err)
		}
		if slices.ContainsFunc(registryErr.Errors, func(e transport.Diagnostic) bool { return e.Code == transport.DeniedErrorCode }) {
			return fmt.Errorf("%w: %w", ErrDenied, err)
		}
		return fmt.Errorf("the registry refuses the credentials: %w", err)
	}
	return err
}
