package image

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
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
