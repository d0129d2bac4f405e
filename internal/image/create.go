package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

type createAPI interface {
	CreateRepository(context.Context, *ecr.CreateRepositoryInput, ...func(*ecr.Options)) (*ecr.CreateRepositoryOutput, error)
}

// CreateWith makes Push create the repository in the account's own registry if it does not exist, with immutable tags
// except latest-* and the given ones. ECR allows at most four exceptions in addition to latest-*:
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
func (r *Repository) CreateWith(api createAPI, tags []string) {
	in := &ecr.CreateRepositoryInput{
		RepositoryName: aws.String(r.name.RepositoryStr()), ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion,
	}
	filters := []string{"latest-*"}
	for _, tag := range tags {
		if !strings.HasPrefix(tag, "latest-") {
			filters = append(filters, tag)
		}
	}
	for _, filter := range filters {
		in.ImageTagMutabilityExclusionFilters = append(in.ImageTagMutabilityExclusionFilters, types.ImageTagMutabilityExclusionFilter{
			Filter: aws.String(filter), FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard,
		})
	}
	r.create = func(ctx context.Context) error {
		_, err := api.CreateRepository(ctx, in)
		if errors.As(err, new(*types.RepositoryAlreadyExistsException)) {
			return nil // another run was faster
		} else if err != nil {
			return fmt.Errorf("create repository %s: %w", r.name, err)
		}
		return nil
	}
}

// createMissing creates the repository if err, of a read, says that it does not exist and CreateWith was called, and reports
// whether it did; otherwise it returns err. ECR answers the start of an upload by closing the connection.
func (r *Repository) createMissing(ctx context.Context, err error) (created bool, _ error) {
	if r.create == nil || !isRepositoryMissing(err) {
		return false, err
	}
	return true, r.create(ctx)
}

// isRepositoryMissing reports whether err is the registry's answer to a read in a repository that does not exist.
func isRepositoryMissing(err error) bool {
	var registryErr *transport.Error
	return errors.As(err, &registryErr) && slices.ContainsFunc(registryErr.Errors, func(d transport.Diagnostic) bool {
		return d.Code == transport.NameUnknownErrorCode
	})
}
