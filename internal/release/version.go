// Package release defines the version, environment and service of a release, and every name derived from them. It performs
// no I/O.
package release

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Version is MAJOR.MINOR.PATCH-<environment>, as in 0.1.30-dev. Versions can be compared with ==; the zero Version
// means no version.
type Version struct{ semver semver.Version }

// ParseVersion parses a version strictly: no leading v, no build metadata, and a suffix that can name an environment.
func ParseVersion(s string) (Version, error) {
	v, ok := parseStrict(s)
	if !ok {
		return Version{}, versionError(s, "")
	}
	return v, nil
}

// First returns the first version of an environment: 0.1.0-<environment>.
func First(environment string) Version {
	return Version{*semver.New(0, 1, 0, environment, "")}
}

// Next returns the next patch: 0.1.31-dev after 0.1.30-dev.
func (v Version) Next() Version {
	return Version{*semver.New(v.semver.Major(), v.semver.Minor(), v.semver.Patch()+1, v.Environment(), "")}
}

// Compare returns a negative number if v is older than o, zero if they are equal and a positive number if v is newer, in the
// order of https://semver.org/#spec-item-11.
func (v Version) Compare(o Version) int { return v.semver.Compare(&o.semver) }

// Environment returns the version's suffix, such as dev.
func (v Version) Environment() string { return v.semver.Prerelease() }

// String returns the version as written in tags and file names, or empty for no version.
func (v Version) String() string { return v.semver.Original() }

// maxNumber keeps the numbers of a version, and their successors, within the signed 64-bit arithmetic of a shell.
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

// versionError describes the required form and suggests a correction if there is one.
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

// correctVersion drops a leading v and build metadata, and replaces a missing or invalid suffix by the environment.
func correctVersion(s, environment string) (Version, bool) {
	s, _, _ = strings.Cut(strings.TrimLeft(s, "vV"), "+")
	if v, ok := parseStrict(s); ok {
		return v, true
	}
	core, _, _ := strings.Cut(s, "-")
	return parseStrict(core + "-" + environment)
}

// namePattern matches names that need no quoting in a systemd unit, a container name, a path, an S3 key, a shell or a tag.
var namePattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

func validName(s string, maxLength int) bool {
	return len(s) <= maxLength && namePattern.MatchString(s)
}
