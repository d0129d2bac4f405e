// Package release knows what a release is called: its version, its environment, its service, and every name made from
// them. It reads and writes nothing.
package release

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Version is MAJOR.MINOR.PATCH-<environment>, as in 0.1.30-dev. Versions can be compared with ==; the zero Version is
// no version.
type Version struct{ semver semver.Version }

// ParseVersion reads a version strictly: no leading v, no build metadata, and the suffix is the environment's name.
func ParseVersion(s string) (Version, error) {
	v, ok := parseStrict(s)
	if !ok {
		return Version{}, versionError(s, "")
	}
	return v, nil
}

// First is the version of an environment that has had none: 0.1.0-<environment>.
func First(environment string) Version {
	return Version{*semver.New(0, 1, 0, environment, "")}
}

// Next is the next patch: 0.1.31-dev after 0.1.30-dev.
func (v Version) Next() Version {
	return Version{*semver.New(v.semver.Major(), v.semver.Minor(), v.semver.Patch()+1, v.Environment(), "")}
}

// Compare is negative when v is older than o, zero when they are the same and positive when v is newer, in the order of
// https://semver.org/#spec-item-11.
func (v Version) Compare(o Version) int { return v.semver.Compare(&o.semver) }

// Environment is the version's suffix, as in dev.
func (v Version) Environment() string { return v.semver.Prerelease() }

// String is the version as it is written in tags and file names; it is empty for no version.
func (v Version) String() string { return v.semver.Original() }

// maxNumber keeps a version's numbers, and their successors, inside the signed 64-bit arithmetic of a shell.
const maxNumber = 1e18

func parseStrict(s string) (Version, bool) {
	v, err := semver.StrictNewVersion(s)
	if err != nil || v.Metadata() != "" || !validName(v.Prerelease(), maxEnvironment) {
		return Version{}, false
	}
	if max(v.Major(), v.Minor(), v.Patch()) >= maxNumber {
		return Version{}, false
	}
	return Version{*v}, true
}

// versionError says what is wanted and, when it can tell, what s was probably meant to be.
func versionError(s, environment string) error {
	want := "want MAJOR.MINOR.PATCH-"
	if environment == "" {
		want += "<environment>, as in 0.1.30-dev"
	} else {
		want += environment
	}
	if s == "" {
		return fmt.Errorf("version is missing: %s", want)
	}
	if meant, ok := correctVersion(s, environment); ok {
		return fmt.Errorf("version %.60q: %s; did you mean %s?", s, want, meant)
	}
	return fmt.Errorf("version %.60q: %s", s, want)
}

// correctVersion drops a leading v and build metadata, and adds the environment when the suffix is missing or no environment.
func correctVersion(s, environment string) (Version, bool) {
	s, _, _ = strings.Cut(strings.TrimLeft(s, "vV"), "+")
	if v, ok := parseStrict(s); ok {
		return v, true
	}
	core, _, _ := strings.Cut(s, "-")
	return parseStrict(core + "-" + environment)
}

// namePattern is safe, without quoting, in a systemd unit, a container's name, a path, an S3 key, a shell and a tag.
var namePattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

func validName(s string, maxLength int) bool {
	return len(s) <= maxLength && namePattern.MatchString(s)
}
