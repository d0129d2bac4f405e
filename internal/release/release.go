package release

import (
	"errors"
	"fmt"
	"strings"
)

const (
	maxEnvironment = 32
	maxService     = 48
)

// Release is one version of one service for one environment. Only its methods derive the names of tags, keys, files
// and folders, so that the registry, the bucket and the instances agree.
type Release struct {
	Service     string
	Environment string
	Version     Version
}

// New validates the three parts, and that the version's suffix is the environment. The error names the part of each problem.
func New(service, environment, version string) (Release, error) {
	v, ok := parseStrict(version)
	problems := []error{serviceError(service)}
	switch err := nameError("environment", environment, maxEnvironment, "dev"); {
	case err != nil:
		problems = append(problems, err)
		if !ok {
			problems = append(problems, versionError(version, ""))
		}
	case !ok:
		problems = append(problems, versionError(version, environment))
	case v.Environment() != environment:
		problems = append(problems, fmt.Errorf("version %.60q: belongs to environment %s, but environment is %s",
			version, v.Environment(), environment))
	}
	if err := errors.Join(problems...); err != nil {
		return Release{}, err
	}
	return Release{Service: service, Environment: environment, Version: v}, nil
}

// Unversioned returns a release without a version, for operations on a service in an environment.
func Unversioned(service, environment string) (Release, error) {
	err := errors.Join(serviceError(service), nameError("environment", environment, maxEnvironment, "dev"))
	if err != nil {
		return Release{}, err
	}
	return Release{Service: service, Environment: environment}, nil
}

// serviceError reports a name that cannot be a service's, or that docker would take for the beginning of a
// container's ID: docker rm then removes that container if none has the name.
// https://docs.docker.com/reference/cli/docker/container/rm/
func serviceError(name string) error {
	if strings.Trim(name, "0123456789abcdef") == "" && name != "" {
		return fmt.Errorf("service %.60q: docker would take it for the beginning of a container ID; add a dash, or a letter after f", name)
	}
	return nameError("service", name, maxService, "atta")
}

func nameError(part, name string, maxLength int, example string) error {
	want := fmt.Sprintf("want at most %d lower-case letters, digits and single dashes, starting with a letter, as in %s",
		maxLength, example)
	switch {
	case name == "":
		return fmt.Errorf("%s is missing: %s", part, want)
	case !validName(name, maxLength):
		return fmt.Errorf("%s %.60q: %s", part, name, want)
	}
	return nil
}

// VersionFromRef returns the tag whose push triggered the workflow, given GITHUB_REF_TYPE and GITHUB_REF_NAME
// (https://docs.github.com/en/actions/reference/workflows-and-actions/variables); false for a branch.
func VersionFromRef(refType, refName string) (string, bool) {
	if refType != "tag" || refName == "" {
		return "", false
	}
	return refName, true
}

// ImageTag returns the immutable image tag: 0.1.30-dev.
func (r Release) ImageTag() string { return r.Version.String() }

// Alias returns the image tag that moves to the latest healthy release of the environment: latest-dev.
func (r Release) Alias() string { return "latest-" + r.Environment }

// BundleName returns the bundle's file name: deploy-bundle-0.1.30-dev.tar.gz.
func (r Release) BundleName() string { return "deploy-bundle-" + r.Version.String() + ".tar.gz" }

// BundlePrefix returns the default S3 prefix of bundles: bundles/dev/.
func (r Release) BundlePrefix() string { return "bundles/" + r.Environment + "/" }

// BundleKey returns the S3 key of the bundle under a prefix that ends with a slash:
// bundles/dev/atta/deploy-bundle-0.1.30-dev.tar.gz.
func (r Release) BundleKey(prefix string) string { return prefix + r.Service + "/" + r.BundleName() }

// OldBundleKey returns the key that earlier versions of this action used for the bundles of every service:
// bundles/dev/deploy-bundle-0.1.30-dev.tar.gz.
func (r Release) OldBundleKey(prefix string) string { return prefix + r.BundleName() }

// LeasePrefix is the S3 prefix of the lock, the current release and the history: deployments/dev/atta/.
func (r Release) LeasePrefix() string { return "deployments/" + r.Environment + "/" + r.Service + "/" }

// Folder returns the folder of the unpacked bundle on an instance: /opt/atta/releases/0.1.30-dev.
func (r Release) Folder() string { return "/opt/" + r.Service + "/releases/" + r.Version.String() }
