package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
)

// resolveTarget decides to which version a rollback goes, and where that is available.
// Whatever is missing is an error.
func (r *run) resolveTarget(ctx context.Context) error {
	target := r.plan.Release.Version
	if target == (release.Version{}) {
		var err error
		if target, err = previousVersion(r.result.Hosts, r.result.Current); err != nil {
			return err
		}
	}
	r.plan.Release.Version, r.plan.Holder.Version = target, target.String()
	r.result.Plan = r.plan
	r.console.Info("rolling back to %s", target)
	return errors.Join(setOutputs(r.console, "version", target.String(), "deployment-id", r.plan.DeploymentID), r.locateRelease(ctx))
}

// previousVersion is the version that was seen healthy before the current one, which the
// hosts that run it know. Every other host runs it already, or nothing: so a rollback that
// was interrupted can be started again and ends at its target. Hosts that run something
// else are a question for the operator.
func previousVersion(hosts []*Host, current lease.Current) (release.Version, error) {
	from, newest := current.Version, newestVersion(hosts)
	if current.Before == newest && isHalfWay(hosts, newest) || !slices.ContainsFunc(hosts, func(h *Host) bool { return h.Before == from }) {
		from = newest
	}
	if from == "" {
		return release.Version{}, errors.New("the instances run no release that they could roll back from")
	}
	targets, others := map[string][]*Host{}, map[string][]*Host{}
	for _, host := range hosts {
		if host.Before == from {
			targets[host.Report.Previous] = append(targets[host.Report.Previous], host)
		} else if host.Before != "" {
			others[host.Before] = append(others[host.Before], host)
		}
	}
	if len(targets) > 1 && !slices.ContainsFunc(slices.Collect(maps.Keys(targets)), func(v string) bool { return isNewer(v, from) }) {
		delete(targets, "") // a new instance, to which the release of the others is brought
	}
	target := slices.Collect(maps.Keys(targets))[0]
	if len(targets) == 1 && target == "" {
		return release.Version{}, nothingToRollBackTo(from, targets[target])
	}
	if len(targets) > 1 {
		return release.Version{}, fmt.Errorf("the instances do not agree which version was healthy before %s: %s; set version", from, describeGroups(targets))
	}
	delete(others, target)
	if len(others) > 0 {
		others[from] = targets[target]
		return release.Version{}, fmt.Errorf("the instances run different releases: %s; set version", describeGroups(others))
	}
	return release.ParseVersion(target)
}

// isHalfWay reports whether a rollback from the newest version has ended on some hosts: they run what the others would
// roll back to. Had they been deployed to, their own previous version would be the newest.
func isHalfWay(hosts []*Host, newest string) bool {
	for _, host := range hosts {
		for _, other := range hosts {
			if host.Before == newest && other.Before != "" && other.Before != newest && (other.Before != host.Report.Previous || other.Report.Previous == newest) {
				return false
			}
		}
	}
	return newest != ""
}

// ErrNoPrevious is returned if an instance has seen no earlier release healthy.
var ErrNoPrevious = errors.New("has nothing to roll back to")

// nothingToRollBackTo says of each host what else it holds.
func nothingToRollBackTo(from string, hosts []*Host) error {
	var problems []error
	for _, host := range hosts[:min(len(hosts), maxNamed)] {
		others := slices.DeleteFunc(slices.Clone(host.Report.Releases), func(version string) bool { return version == from })
		hint := "it holds no other release"
		if len(others) > 0 {
			hint = "set version to one of " + strings.Join(others, ", ")
		}
		problems = append(problems, fmt.Errorf("instance %s %w: no release before %s was seen healthy there; %s", host.Instance, ErrNoPrevious, from, hint))
	}
	if more := len(hosts) - maxNamed; more > 0 {
		problems = append(problems, fmt.Errorf("and %d more", more))
	}
	return errors.Join(problems...)
}

// describeGroups lists versions with the hosts of each.
func describeGroups(groups map[string][]*Host) string {
	var words []string
	for version, hosts := range groups {
		words = append(words, fmt.Sprintf("%s (%s)", cmp.Or(version, "none"), nameHosts(hosts)))
	}
	slices.Sort(words)
	return strings.Join(words, "; ")
}

// isNewer reports whether version is higher than other, which may be empty or not a version.
func isNewer(version, other string) bool {
	one, err := release.ParseVersion(version)
	if err != nil {
		return false
	}
	base, err := release.ParseVersion(other)
	return err != nil || one.Compare(base) > 0
}

// newestVersion is the highest version that any host runs.
func newestVersion(hosts []*Host) string {
	newest := ""
	for _, host := range hosts {
		if isNewer(host.Before, newest) {
			newest = host.Before
		}
	}
	return newest
}

// locateRelease looks for the release for hosts that do not hold it: its bundle in the
// bucket and its image in the registry, which must be those that its witnesses name.
func (r *run) locateRelease(ctx context.Context) error {
	bundles, digests := r.findWitnesses()
	if err := errors.Join(bundles.conflictWith(r.plan.Bundle.SHA256), digests.conflictWith(r.plan.Image.Digest)); err != nil {
		return err
	}
	r.missing = map[string]bool{}
	want := r.expectation()
	var lacking []*Host
	for _, host := range r.result.Hosts {
		if !slices.Contains(host.Report.Releases, want.version) {
			r.missing[host.ID] = true
			lacking = append(lacking, host)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	missing := fmt.Sprintf("%s is not among the releases of %s (%s)", want.version, Instances(len(lacking)), nameHosts(lacking))
	if r.services.Repository == nil {
		return fmt.Errorf("%s, and without ecr-repository it cannot be deployed there", missing)
	}
	digest, err := r.findWitnessed(ctx, bundles, digests)
	if err != nil {
		return fmt.Errorf("%s, and it cannot be deployed there: %w", missing, err)
	}
	r.console.Info("%s: its bundle and image are deployed there", missing)
	return r.artifacts.setImage(digest)
}

// findWitnessed looks for the bundle in the bucket and the image in the registry that all
// witnesses name.
func (r *run) findWitnessed(ctx context.Context, bundles, digests witnesses) (digest string, err error) {
	var unknown []string
	for _, w := range []witnesses{bundles, digests} {
		if len(w.by) == 0 {
			unknown = append(unknown, w.input)
		}
	}
	if len(unknown) > 0 {
		why, held := "no instance that can be reached names what it is", r.heldReleases()
		if version := r.plan.Release.Version.String(); !slices.Contains(held, version) {
			why = fmt.Sprintf("%s was never seen healthy on an instance that can be reached; those that were: %s", version, cmp.Or(strings.Join(held, ", "), "none"))
		}
		return "", fmt.Errorf("%s; if it is right, set %s, which the outputs and the log of the run that deployed it name", why, strings.Join(unknown, " and "))
	}
	sha256, problem := bundles.agreedValue()
	digest, err = digests.agreedValue()
	if err = errors.Join(problem, err); err != nil {
		return "", err
	}
	_, problem = r.services.Repository.Size(ctx, digest)
	return digest, errors.Join(r.artifacts.findBundle(ctx, sha256), problem)
}

// heldReleases are the versions that some host can roll back to, the newest first.
func (r *run) heldReleases() []string {
	var held []string
	for _, host := range r.result.Hosts {
		for _, version := range host.Report.Releases {
			if !slices.Contains(held, version) {
				held = append(held, version)
			}
		}
	}
	slices.SortFunc(held, func(a, b string) int {
		one, _ := release.ParseVersion(a)
		other, _ := release.ParseVersion(b)
		return other.Compare(one)
	})
	return held
}

// witnesses are values of one property of the target release, with who names each: an input, or
// an instance that holds the release. What lies in the bucket or under a tag now may have been
// replaced, so it is none.
type witnesses struct {
	input string // that names the value if nobody else does
	what  string
	by    map[string][]string // value: names
}

// findWitnesses asks the inputs and the hosts for the checksum of the target's bundle and the
// digest of its image.
func (r *run) findWitnesses() (bundles, digests witnesses) {
	version := r.plan.Release.Version.String()
	bundles = witnesses{"bundle-sha256", "bundle of " + version, map[string][]string{}}
	digests = witnesses{"image-digest", "image of " + version, map[string][]string{}}
	bundles.addValue(r.plan.Bundle.SHA256, bundles.input)
	digests.addValue(r.plan.Image.Digest, digests.input)
	for _, host := range r.result.Hosts {
		// A host also holds a version that it found unhealthy, which it cannot roll back to.
		if host.Report.Held == version && (host.Report.Proved || slices.Contains(host.Report.Releases, version)) {
			bundles.addValue(host.Report.Bundle, host.String())
			digests.addValue(host.Report.Image, host.String())
		}
	}
	return bundles, digests
}

func (w witnesses) addValue(value, name string) {
	if value != "" {
		w.by[value] = append(w.by[value], name)
	}
}

// agreedValue is the one value that all witnesses name; there is at least one.
func (w witnesses) agreedValue() (string, error) {
	value := slices.Collect(maps.Keys(w.by))[0]
	return value, w.conflictWith(value)
}

// conflictWith is the error that a witness names another value; nil: none does, or value is empty.
func (w witnesses) conflictWith(value string) error {
	if value == "" || len(w.by) < 2 {
		return nil
	}
	var words []string
	for other, names := range w.by {
		words = append(words, fmt.Sprintf("%s (%s)", other, strings.Join(names[:min(len(names), maxNamed)], ", ")))
	}
	slices.Sort(words)
	return fmt.Errorf("the %s is not the same everywhere: %s", w.what, strings.Join(words, "; "))
}
