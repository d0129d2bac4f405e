package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// choosePlatforms returns the wanted platforms; an empty list means all of the base.
func (r recipe) choosePlatforms() []string {
	if r.Base == Scratch && len(r.Platforms) == 0 {
		return []string{"linux/amd64"}
	}
	return r.Platforms
}

// chooseManifests returns the base's images for the platforms, or all without platforms. A variant may be omitted if unique.
func chooseManifests(base *manifest, platforms []string) (chosen []*manifest, err error) {
	var all []*manifest
	var have []string
	for m := range base.images() {
		if m.Platform != nil && m.Platform.OS != unknownOS { // the others are attestations, which describe only the base
			all, have = append(all, m), append(have, m.Platform.String())
		}
	}
	if len(all) == 0 {
		return nil, errors.New("none of its images names its platform")
	}
	if len(platforms) == 0 {
		return all, nil
	}
	var problems []error
	wanted := map[*manifest]bool{}
	for _, platform := range platforms {
		matching := slices.DeleteFunc(slices.Clone(all), func(m *manifest) bool { return m.Platform.String() != platform })
		if len(matching) == 0 {
			matching = slices.DeleteFunc(slices.Clone(all), func(m *manifest) bool { return !m.runsOn(platform) })
		}
		switch len(matching) {
		case 0:
			problems = append(problems, fmt.Errorf("it does not support %s, only %s", platform, strings.Join(have, ", ")))
		case 1:
			wanted[matching[0]] = true
		default:
			problems = append(problems, fmt.Errorf("%s matches more than one of its platforms, %s: name the variant", platform, strings.Join(have, ", ")))
		}
	}
	return slices.DeleteFunc(all, func(m *manifest) bool { return !wanted[m] }), errors.Join(problems...)
}

func (m *manifest) runsOn(platform string) bool {
	want, err := v1.ParsePlatform(platform)
	return err == nil && m.Platform.Satisfies(*want)
}

// targetPlatforms replaces the variables of BuildKit with the platform:
// https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope
func targetPlatforms(p *v1.Platform) *strings.Replacer {
	return strings.NewReplacer("$TARGETOS", p.OS, "$TARGETARCH", p.Architecture, "$TARGETVARIANT", p.Variant)
}
