package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Check tells whether an image can be pushed as ref: it changes nothing, and that there is no
// such image yet is no error. A repository that ECR does not have is ErrNoRepository, unless Push will create it.
func (r *Repository) Check(ctx context.Context, ref string) error {
	reference, err := r.client.parseReference(ref)
	if err != nil {
		return err
	}
	_, err = remote.Get(reference, r.remoteOptions(ctx)...)
	var answer *transport.Error
	if errors.As(err, &answer) {
		for _, e := range answer.Errors {
			if e.Code == transport.NameUnknownErrorCode && r.create == nil {
				return fmt.Errorf("check %s: %w", r.name, ErrNoRepository)
			}
		}
	}
	if err = explainError(err); err == nil || errors.Is(err, ErrNotFound) {
		return nil
	}
	return fmt.Errorf("check %s: %w", reference, err)
}
