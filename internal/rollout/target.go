package rollout

import (
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
	from := current.Version
	if !slices.ContainsFunc(hosts, func(h *Host) bool { return h.Before == from }) {
		from = newestVersion(hosts)
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
	target := slices.Collect(maps.Keys(targets))[0]
	if len(targets) > 1 || target == "" {
		return release.Version{}, fmt.Errorf("the instances do not agree which version was healthy before %s: %s; set version", from, describeGroups(targets))
	}
	delete(others, target)
	if len(others) > 0 {
		others[from] = targets[target]
		return release.Version{}, fmt.Errorf("the instances run different releases: %s; set version", describeGroups(others))
	}
	return release.ParseVersion(target)
}

// describeGroups lists versions with the hosts of each.
func describeGroups(groups map[string][]*Host) string {
	var words []string
	for version, hosts := range groups {
		words = append(words, fmt.Sprintf("%s (%s)", or(version, "none"), nameHosts(hosts)))
	}
	slices.Sort(words)
	return strings.Join(words, "; ")
}

// newestVersion is the highest version that any host runs.
func newestVersion(hosts []*Host) string {
	var newest release.Version
	for _, host := range hosts {
		if v, err := release.ParseVersion(host.Before); err == nil && (newest == (release.Version{}) || v.Compare(newest) > 0) {
			newest = v
		}
	}
	return newest.String()
}

// locateRelease looks for the release for hosts that do not hold it: its bundle in the
// bucket and its image in the registry.
func (r *run) locateRelease(ctx context.Context) error {
	r.missing = map[string]bool{}
	want := r.expectation()
	var lacking []*Host
	for _, host := range r.result.Hosts {
		holds := host.Before != want.version && slices.Contains(host.Report.Releases, want.version)
		if !holds && !want.isMetBy(host.Report) {
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
	err := r.artifacts.findBundle(ctx, "")
	digest, problem := r.services.Repository.Resolve(ctx, r.plan.Release.ImageTag())
	if err := errors.Join(err, problem); err != nil {
		return fmt.Errorf("%s, and it cannot be deployed there: %w", missing, err)
	}
	r.console.Info("%s: its bundle and image are deployed there", missing)
	return r.artifacts.setImage(digest)
}
