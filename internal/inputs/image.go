package inputs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/internal/release"
)

// maxMovingTags is the number of tag filters that ECR allows for a repository, less the one for latest-*:
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
const maxMovingTags = 4

func (p *parser) parseImage(task Task, workspace string) Image {
	switch phases := task.Phases; {
	case phases.Image:
		if !task.DryRun { // a plan may run before the image is built
			p.requireInput("image", "a path or a registry reference, since the image phase pushes it")
		}
		p.forbidInput("image-digest", "the image phase determines it")
	case task.Operation == "deploy" && phases.Rollout:
		p.requireInput("image-digest", imageDigest.description)
	}
	if task.Operation == "deploy" && (task.Phases.Image || task.Phases.Rollout) {
		p.requireInput("ecr-repository", repository.description)
	}
	tags := p.parseList("image-tags", imageTag)
	for _, tag := range tags {
		if _, err := release.ParseVersion(tag); err == nil {
			p.rejectValue("image-tags", tag, "tags that may move; the tag of a version is immutable")
		}
	}
	switch {
	case tags == nil:
		tags = []string{task.Release.Alias()}
	case slices.Equal(tags, []string{"none"}):
		tags = nil
	}
	create := p.parseBool("create-repository")
	others := slices.DeleteFunc(slices.Clone(tags), func(tag string) bool { return strings.HasPrefix(tag, "latest-") })
	if create && len(others) > maxMovingTags {
		p.rejectValue("image-tags", p.rawValue("image-tags"), fmt.Sprintf("at most %d tags in addition to latest-*, since ECR allows no more movable tags in a repository that create-repository creates", maxMovingTags))
	}
	if task.Operation != "deploy" && p.rawValue("ecr-repository") == "" {
		tags = nil // without a repository, no tags are moved
	}
	return Image{
		Source:     p.parseText("image", printable),
		Registry:   p.parseText("ecr-registry", registry),
		Repository: p.parseText("ecr-repository", repository),
		Create:     create,
		Tags:       tags,
		Digest:     p.parseText("image-digest", imageDigest),

		Compression: p.parseText("compression", oneOf("gzip", "zstd")),
		Recipe:      p.parseRecipe(workspace),
	}
}
