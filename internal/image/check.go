package image

import (
	"context"
	"errors"
	"fmt"
)

// Check reports, without changing anything, an error that would make a push as ref fail, and otherwise the digest that ref
// names, or empty if it does not exist yet. The error is ErrNoRepository if the repository does not exist and Push would
// not create it.
func (r *Repository) Check(ctx context.Context, ref string) (digest string, err error) {
	m, err := r.client.getManifest(ctx, ref)
	if r.create == nil && isRepositoryMissing(err) {
		return "", fmt.Errorf("check %s: %w", r.name, ErrNoRepository)
	}
	if err == nil {
		return m.Digest.String(), nil
	}
	if err = explainError(err); errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return "", fmt.Errorf("check %s: %w", r.referenceTo(ref), err)
}
