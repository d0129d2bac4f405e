package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/lease"
)

// rollOut brings the release to every host. Those of a rollback that cannot be reached are
// an error at its end.
func (r *run) rollOut(ctx context.Context) error {
	err := r.runWaves(ctx)
	r.result.Hosts = append(r.result.Hosts, r.left...)
	return errors.Join(err, unhealthyError(r.left, len(r.result.Hosts)))
}

// runWaves brings the release to the hosts in waves, and stops when one of them is not
// proved to run it. Those that run it already only prove that, in the last waves.
func (r *run) runWaves(ctx context.Context) error {
	if err := r.artifacts.checkQuarantine(r.result.Image.Digest); err != nil {
		return err
	}
	r.warnAboutRisks()
	hosts := r.sortHosts()
	waves := splitIntoWaves(hosts, r.plan.Rollout.Waves)
	numberWaves(waves)
	r.recordProgress(ctx)
	if err := r.checkHosts(ctx, hosts); err != nil {
		return err
	}
	for i, wave := range waves {
		title := "Roll out"
		if len(waves) > 1 {
			title = fmt.Sprintf("Roll out, wave %d of %d: %s", i+1, len(waves), Instances(len(wave)))
		}
		if err := r.deployWave(ctx, title, wave, slices.Concat(waves[:i]...)); err != nil {
			return err
		}
	}
	if err := r.deployToNewInstances(ctx); err != nil {
		return err
	}
	if silent := hostsIn(r.result.Hosts, Unknown); len(silent) > 0 {
		if err := r.recheckHosts(ctx, silent, resolveTimeLimit); err != nil {
			return r.abortRollout(ctx, r.wavesOf(silent), err)
		}
	}
	if unhealthyError(r.result.Hosts, len(r.result.Hosts)) != nil {
		return r.keepRelease(ctx, nil)
	}
	return r.setCurrent(r.leaseContext(ctx))
}

// sortHosts are all hosts in the order in which they get the release.
func (r *run) sortHosts() []*Host {
	hosts := slices.Clone(r.result.Hosts)
	if met := sortByRisk(hosts, r.expectation()); met > 0 {
		r.console.Info("%s of %d already on %s", Instances(met), len(hosts), r.plan.Release.Version)
	}
	return hosts
}

// runWave deploys to some hosts at once. The error names those that are not proved to run
// the release.
func (r *run) runWave(ctx context.Context, title string, hosts []*Host) error {
	defer r.log.showLogs(hosts)
	return r.runGroup(ctx, title, func(ctx context.Context) error {
		held, missing := r.splitByRelease(hosts)
		commander := r.commander()
		var err error
		if len(held) > 0 {
			err = commander.runCommand(ctx, commander.rollbackRequest(r.plan.Release.Version.String()), r.expectation(), held)
		}
		if len(held) > 0 && len(missing) > 0 {
			missing = commander.dropUnreachable(ctx, missing)
		}
		if len(missing) > 0 && err == nil {
			var request deploy.ReleaseRequest
			if request, err = r.releaseRequest(ctx, commander); err == nil {
				err = commander.runCommand(ctx, request, r.expectation(), missing)
			}
		}
		if unhealthy := unhealthyError(hosts, len(r.result.Hosts)); unhealthy != nil {
			if err == nil {
				return unhealthy
			}
			return errors.Join(err, unhealthy)
		} else if err != nil {
			return err
		}
		r.recordProgress(ctx)
		return nil
	})
}

// splitByRelease separates the hosts of a rollback that hold the release from those that
// it has to be brought to.
func (r *run) splitByRelease(hosts []*Host) (held, missing []*Host) {
	for _, host := range hosts {
		if r.plan.Operation == Deploy || r.missing[host.ID] {
			missing = append(missing, host)
		} else {
			held = append(held, host)
		}
	}
	return held, missing
}

func (r *run) releaseRequest(ctx context.Context, c *commander) (deploy.ReleaseRequest, error) {
	size, err := r.services.Repository.Size(ctx, r.result.Image.Digest)
	return c.releaseRequest(r.plan, r.result, size), err
}

// maxNewInstanceRounds bounds how often new instances are looked for.
const maxNewInstanceRounds = 3

// deployToNewInstances deploys to instances that have got the tags since the run began, so
// that every instance runs the release when it ends. What cannot be deployed to says nothing
// about the release, and the others keep it; an instance that finds it unhealthy does.
func (r *run) deployToNewInstances(ctx context.Context) error {
	if len(r.plan.Targets.Tags) == 0 {
		return nil
	}
	for round := 0; ; round++ {
		added, err := r.findNewInstances(ctx)
		if err != nil || round == maxNewInstanceRounds && len(added) > 0 {
			return r.keepRelease(ctx, err)
		}
		if len(added) == 0 {
			return nil
		}
		earlier := r.result.Hosts[:len(r.result.Hosts)-len(added)]
		if err := r.deployWave(ctx, "Roll out to new instances: "+Instances(len(added)), added, earlier); err != nil {
			return err
		}
	}
}

// findNewInstances adds hosts that were not there before to the run, and checks that they
// may get the release.
func (r *run) findNewInstances(ctx context.Context) ([]*Host, error) {
	ready, unready, err := r.services.Fleet.Find(ctx, r.plan.Targets)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, host := range r.result.Hosts {
		known[host.ID] = true
	}
	var problems []error
	first := len(r.result.Hosts)
	for _, instance := range ready {
		if known[instance.ID] {
			continue
		}
		message := "new since the run began"
		if i := slices.IndexFunc(r.left, func(h *Host) bool { return h.ID == instance.ID }); i >= 0 {
			r.left, message = slices.Delete(r.left, i, i+1), "left out when the run began"
		}
		r.result.Hosts = append(r.result.Hosts, &Host{Instance: instance, State: NotDeployed, Message: message})
	}
	for _, host := range r.left {
		known[host.ID] = true
	}
	for _, problem := range unready {
		if !known[problem.Instance.ID] {
			problems = append(problems, fmt.Errorf("new instance: %w", problem))
		}
	}
	added := r.result.Hosts[first:]
	if len(added) > 0 && problems == nil {
		unanswered, err := r.commander().queryHosts(r.leaseContext(ctx), added, false)
		problems = append(problems, limitProblems(unanswered), err)
		for _, host := range added {
			problems = append(problems, r.checkInstalled(host))
			if version := r.plan.Release.Version.String(); r.plan.Operation == Rollback && host.Report != nil && !slices.Contains(host.Report.Releases, version) {
				problems = append(problems, fmt.Errorf("new instance %s does not hold %s: start the rollback again", host.Instance, version))
			}
		}
	}
	return added, errors.Join(problems...)
}

// releaseDigest is the digest of the image that the hosts run. After a rollback that needed
// no registry, they are what knows it, and have to agree.
func (r *run) releaseDigest() (string, error) {
	if r.result.Image.Digest != "" {
		return r.result.Image.Digest, nil
	}
	groups := map[string][]*Host{}
	for _, host := range r.result.Hosts {
		if host.hasRelease() {
			groups[host.Report.Digest] = append(groups[host.Report.Digest], host)
		}
	}
	digests := slices.Sorted(maps.Keys(groups))
	if len(digests) == 1 {
		return digests[0], nil
	}
	var words []string
	for _, digest := range digests {
		words = append(words, fmt.Sprintf("%s (%s)", digest, nameHosts(groups[digest])))
	}
	return "", fmt.Errorf("the instances run different images as %s: %s; nothing was recorded, and no tag was moved", r.plan.Release.Version, strings.Join(words, "; "))
}

// setCurrent records what should run from now on.
func (r *run) setCurrent(ctx context.Context) error {
	digest, err := r.releaseDigest()
	if err != nil {
		return err
	}
	version := r.plan.Release.Version.String()
	r.result.Image.Digest = digest
	err = r.services.Lease.UpdateCurrent(ctx, r.lease.Generation(), func(c *lease.Current) {
		seen := len(r.left) == 0 && !slices.ContainsFunc(r.result.Hosts, func(h *Host) bool { return h.State != Deployed })
		if seen {
			c.LiftQuarantine(digest)
		}
		if c.Version == version && c.Digest == digest {
			c.Verified = c.Verified || seen
			return
		}
		c.Before, c.BeforeImage = c.Version, ""
		if c.Verified {
			c.BeforeImage = c.Digest
		}
		c.Verified = seen
		c.Version, c.Digest, c.Image = version, digest, r.result.Image.URI
		c.Commit = ""
		if r.plan.Operation == Deploy && r.plan.Phases.Image {
			c.Commit = r.plan.Commit
		}
		c.Deployment, c.Since = r.plan.DeploymentID, time.Now().UTC().Truncate(time.Second)
	})
	if err != nil {
		return fmt.Errorf("%s runs, and was not recorded as current: %w", version, err)
	}
	return nil
}
