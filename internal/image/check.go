package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Check reports, without changing anything, an error that would make a push as ref fail; ref need not exist yet. The error
// is ErrNoRepository if the repository does not exist and Push would not create it.
func (r *Repository) Check(ctx context.Context, ref string) error {
	reference, err := r.client.parseReference(ref)
	if err != nil {
		return err
	}
	_, err = remote.Get(reference, r.remoteOptions(ctx)...)
	if r.create == nil && isRepositoryMissing(err) {
		return fmt.Errorf("check %s: %w", r.name, ErrNoRepository)
	}
	if err = explainError(err); err == nil || errors.Is(err, ErrNotFound) {
		return nil
	}
	return fmt.Errorf("check %s: %w", reference, err)
}
