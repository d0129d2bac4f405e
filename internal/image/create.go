package image

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// MaxMoving is how many tags beside latest-* a new repository can let move:
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
const MaxMoving = 4

const latestTags = "latest-*"

// Moving are the tags that latest-* does not match.
func Moving(tags []string) (others []string) {
	for _, tag := range tags {
		if latest, _ := path.Match(latestTags, tag); !latest {
			others = append(others, tag)
		}
	}
	return others
}

type createAPI interface {
	CreateRepository(context.Context, *ecr.CreateRepositoryInput, ...func(*ecr.Options)) (*ecr.CreateRepositoryOutput, error)
}

// CreateWith makes Push create the repository where ECR has none, by its name in the account's own registry: with tags
// that cannot be moved, but for latest-* and those given, at most MaxMoving others.
func (r *Repository) CreateWith(api createAPI, tags []string) {
	in := &ecr.CreateRepositoryInput{
		RepositoryName: aws.String(r.name.RepositoryStr()), ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion,
	}
	for _, filter := range append([]string{latestTags}, Moving(tags)...) {
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
