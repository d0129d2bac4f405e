package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// choosePlatforms are those that are wanted; none: all of the base.
func (r recipe) choosePlatforms() []string {
	if r.Base == Scratch && len(r.Platforms) == 0 {
		return []string{"linux/amd64"}
	}
	return r.Platforms
}

// chooseManifests returns the images of the base for those platforms, or all when none is named. One that names no variant
// means the only variant that there is.
func chooseManifests(base *manifest, platforms []string) (chosen []*manifest, err error) {
	var all []*manifest
	var have []string
	for m := range base.images() {
		if m.Platform != nil && m.Platform.OS != "unknown" { // the others are attestations, which are of the base only
			all, have = append(all, m), append(have, m.Platform.String())
		}
	}
	if len(all) == 0 {
		return nil, errors.New("it holds no image that says what platform it is for")
	}
	if len(platforms) == 0 {
		return all, nil
	}
	var problems []error
	wanted := map[*manifest]bool{}
	for _, platform := range platforms {
		fit := slices.DeleteFunc(slices.Clone(all), func(m *manifest) bool { return m.Platform.String() != platform })
		if len(fit) == 0 {
			fit = slices.DeleteFunc(slices.Clone(all), func(m *manifest) bool { return !m.runsOn(platform) })
		}
		switch len(fit) {
		case 0:
			problems = append(problems, fmt.Errorf("it is not made for %s, but for %s", platform, strings.Join(have, ", ")))
		case 1:
			wanted[fit[0]] = true
		default:
			problems = append(problems, fmt.Errorf("%s is more than one of those that it is made for, %s: name the variant", platform, strings.Join(have, ", ")))
		}
	}
	return slices.DeleteFunc(all, func(m *manifest) bool { return !wanted[m] }), errors.Join(problems...)
}

func (m *manifest) runsOn(platform string) bool {
	want, err := v1.ParsePlatform(platform)
	return err == nil && m.Platform.Satisfies(*want)
}

// targetPlatforms names the platform as BuildKit does:
// https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope
func targetPlatforms(p *v1.Platform) *strings.Replacer {
	return strings.NewReplacer("$TARGETOS", p.OS, "$TARGETARCH", p.Architecture, "$TARGETVARIANT", p.Variant)
}
