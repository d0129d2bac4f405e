package image

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ServerSign returns what in the image's config suggests that its program is a long-lived server, such as "exposes
// 8080/tcp"; empty: nothing does.
func (s *Source) ServerSign(ctx context.Context) (string, error) { return s.root.serverSign(ctx) }

// ServerSign is Source.ServerSign of the image with this digest.
func (r *Repository) ServerSign(ctx context.Context, digest string) (string, error) {
	m, err := r.client.getManifest(ctx, digest)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", r.URI(digest), explainError(err))
	}
	root, err := walkManifests(ctx, registry{repo: r.name, puller: r.client.puller}, m.Descriptor)
	if err != nil {
		return "", err
	}
	return root.serverSign(ctx)
}

func (m *manifest) serverSign(ctx context.Context) (string, error) {
	for image := range m.images() {
		if config := image.blobs[0]; config.MediaType.IsConfig() {
			parsed, _, err := config.readConfig(ctx)
			if err != nil {
				return "", err
			}
			if sign := signOf(parsed.Config); sign != "" {
				return sign, nil
			}
		}
	}
	return "", nil
}

func signOf(config v1.Config) string {
	if len(config.ExposedPorts) > 0 {
		return "exposes " + strings.Join(slices.Sorted(maps.Keys(config.ExposedPorts)), ", ")
	}
	// A health check that is switched off is NONE: https://docs.docker.com/reference/dockerfile/#healthcheck
	if check := config.Healthcheck; check != nil && len(check.Test) > 0 && check.Test[0] != "NONE" {
		return "has a HEALTHCHECK"
	}
	return ""
}
