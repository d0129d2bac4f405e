package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/internal/release"
)

// aim finds out to which version a rollback goes and where that is to be had. Everything
// it finds missing is an error.
func (r *run) aim(ctx context.Context) error {
	target := r.plan.Release.Version
	if target == (release.Version{}) {
		var err error
		if target, err = r.before(); err != nil {
			return err
		}
	}
	r.plan.Release.Version, r.plan.Holder.Version = target, target.String()
	r.result.Plan = r.plan
	r.console.Info("going back to %s", target)
	return errors.Join(r.output("version", target.String(), "deployment-id", r.plan.DeploymentID), r.seek(ctx))
}

// before is the version that was seen healthy before the one that should run, which the
// hosts that run it know. A host that has gone back already, or never came so far, is not
// asked: so a rollback that was cut short can be started again and ends where it was to end.
func (r *run) before() (release.Version, error) {
	current := r.result.Current.Version
	if !slices.ContainsFunc(r.result.Hosts, func(h *Host) bool { return h.Before == current }) {
		current = r.newest()
	}
	said := map[string][]string{}
	for _, host := range r.result.Hosts {
		if host.Before == current {
			said[host.Report.Previous] = append(said[host.Report.Previous], host.String())
		}
	}
	if current == "" {
		return release.Version{}, errors.New("the instances run no release that they could go back from")
	}
	var words []string
	for version, hosts := range said {
		if len(said) == 1 && version != "" {
			return release.ParseVersion(version)
		}
		words = append(words, fmt.Sprintf("%s (%s)", or(version, "none"), strings.Join(hosts[:min(len(hosts), maxNamed)], ", ")))
	}
	slices.Sort(words)
	return release.Version{}, fmt.Errorf("the instances do not agree which version was healthy before %s: %s; give version", current, strings.Join(words, "; "))
}

// newest is the highest version that any host runs.
func (r *run) newest() string {
	var newest release.Version
	for _, host := range r.result.Hosts {
		if v, err := release.ParseVersion(host.Before); err == nil && (newest == (release.Version{}) || v.Compare(newest) > 0) {
			newest = v
		}
	}
	return newest.String()
}

// seek looks for the release where hosts do not have it: its bundle in the bucket and its
// image in the registry.
func (r *run) seek(ctx context.Context) error {
	r.lacking = map[string]bool{}
	w := r.want()
	var names []string
	for _, host := range r.result.Hosts {
		if has := host.Before != w.version && slices.Contains(host.Report.Releases, w.version); !has && !w.runs(host.Report) {
			r.lacking[host.ID] = true
			names = append(names, host.String())
		}
	}
	if len(names) == 0 {
		return nil
	}
	absent := fmt.Sprintf("%s is not among the releases of %s (%s), and", w.version, Instances(len(names)), strings.Join(names[:min(len(names), maxNamed)], ", "))
	if r.services.Repository == nil {
		return fmt.Errorf("%s without ecr-repository it cannot be brought there", absent)
	}
	err := r.useBundle(ctx, "")
	digest, problem := r.services.Repository.Resolve(ctx, r.plan.Release.ImageTag())
	if err := errors.Join(err, problem); err != nil {
		return fmt.Errorf("%s it cannot be brought there: %w", absent, err)
	}
	r.console.Info("%s: its bundle and image are brought there", strings.TrimSuffix(absent, ", and"))
	return r.useImage(digest)
}
