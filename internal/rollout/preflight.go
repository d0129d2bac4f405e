package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/storage"
)

// runPreflight checks that the operation can be carried out, and changes nothing. It reports
// every problem at once: first those that can be known without the lease, and then, under
// it, those that the instances report.
func (r *run) runPreflight(ctx context.Context, account Account) error {
	if err := r.connectAccount(ctx, account); err != nil {
		return err
	}
	unread := r.readCurrent(ctx)
	problems := []error{r.artifacts.checkMode(ctx), unread, r.artifacts.resolveImage(ctx)}
	if !errors.As(unread, new(*storage.UnusableError)) {
		problems = append(problems, r.artifacts.resolveBundle(ctx))
	}
	if !r.plan.Phases.Rollout {
		return errors.Join(problems...)
	}
	found, err := r.findInstances(ctx)
	if err := errors.Join(append(problems, err, r.checkDocument(ctx))...); err != nil {
		return errors.Join(err, r.currentHolder(ctx))
	}
	if r.plan.DryRun {
		r.noticeHolder(ctx)
		return r.inspectHosts(ctx, found)
	}
	if r.plan.Operation == Rollback && r.result.Current.Version == "" {
		// Asked without the lease, so that a mistyped service leaves nothing in the bucket or on a host.
		hosts := newHosts(found)
		_, err := r.commander().queryHosts(ctx, hosts, false)
		if err := errors.Join(err, r.checkKnown(hosts)); err != nil {
			return err
		}
	}
	if err := r.acquireLease(ctx); err != nil {
		return err
	}
	ctx = r.leaseContext(ctx)
	// What runs is asked under the lease, so that a version that waited in line meets its
	// predecessor.
	if r.result.Current, err = r.services.Lease.ReadCurrent(ctx); err != nil {
		return err
	}
	return r.inspectHosts(ctx, found)
}

// readCurrent reads what should run, the first request to the bucket. Without the rollout phase,
// that only saves uploads, and the role may not be allowed to read it.
func (r *run) readCurrent(ctx context.Context) error {
	if r.plan.Bundle.Bucket == "" && !r.plan.Phases.Bundle && !r.plan.Phases.Rollout {
		return nil
	}
	current, err := r.services.Lease.ReadCurrent(ctx)
	switch {
	case err == nil:
		r.result.Current = current
	case !r.plan.Phases.Rollout && !errors.As(err, new(*storage.UnusableError)):
		return nil
	}
	return err
}

// maxSkew is how far clocks may differ without a warning.
const maxSkew = time.Minute

func (r *run) connectAccount(ctx context.Context, account Account) error {
	services, err := account.Connect(ctx)
	if err != nil {
		return err
	}
	r.services, r.result.Account, r.result.Console = services, services.Account, services.Console
	if services.Log != nil {
		r.log = &liveLog{reader: services.Log, console: r.console}
	}
	r.console.Info("account %s, region %s", services.Account, r.plan.Region)
	if services.Skew.Abs() > maxSkew {
		r.console.Warning("This machine's clock is wrong", "AWS's clock is %s ahead; the run corrects for that. On an instance, a wrong clock makes requests fail: %s", services.Skew.Round(time.Second), clockPage)
	}
	return nil
}

// findInstances returns the target instances, all of which can be reached. A rollback leaves
// out those that cannot: it must not wait for a host that is down.
func (r *run) findInstances(ctx context.Context) ([]fleet.Instance, error) {
	ready, unready, err := r.services.Fleet.Find(ctx, r.plan.Targets)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, problem := range unready {
		if r.plan.Operation == Rollback && len(ready) > 0 {
			r.leaveOut(&Host{Instance: problem.Instance}, problem.Reason)
		} else {
			problems = append(problems, problem)
		}
	}
	if n := len(ready) + len(unready); n < r.plan.Targets.MinInstances {
		problems = append(problems, &TooFewError{Found: ready, Want: r.plan.Targets.MinInstances})
	}
	return ready, limitProblems(problems)
}

// leaveOut takes a host out of a rollback, which goes on without it.
func (r *run) leaveOut(host *Host, why string) {
	host.State, host.stale, host.Message = NotStarted, true, why+"; it was left out, and this run changed nothing there"
	if r.left = append(r.left, host); len(r.left) > maxNamed {
		r.console.Info("instance %s is left out: it %s", host.Instance, why)
		return
	}
	r.console.Warning("An instance is left out", "instance %s %s; the others are rolled back: %s", host.Instance, why, operationsPage)
}

// TooFewError says that there are fewer instances than min-instances.
type TooFewError struct {
	Found []fleet.Instance
	Want  int
}

func (e *TooFewError) Error() string {
	var names []string
	for _, instance := range e.Found[:min(len(e.Found), maxNamed)] {
		names = append(names, instance.String())
	}
	return fmt.Sprintf("%s found, min-instances is %d: %s", Instances(len(e.Found)), e.Want, cmp.Or(strings.Join(names, ", "), "none"))
}

// currentHolder is who holds the lease, as a problem; nil: nobody.
func (r *run) currentHolder(ctx context.Context) error {
	// A problem with the bucket has been reported already.
	if held, err := r.services.Lease.CurrentHolder(ctx); err == nil && held != nil {
		return held
	}
	return nil
}

func (r *run) noticeHolder(ctx context.Context) {
	if held := r.currentHolder(ctx); held != nil {
		r.console.Notice("A deploy is under way", "%v", held)
	}
}

// acquireLease waits for the lease of the service in its environment.
func (r *run) acquireLease(ctx context.Context) error {
	until := earlierTime(time.Now().Add(r.plan.Time.Lock), r.plan.Deadline)
	defer r.console.beginWait(until, func() string { return "the deploy lock" })()
	held, err := r.services.Lease.Acquire(ctx, r.plan.Holder, r.plan.Time.Lock, func(by *lease.HeldError) {
		r.console.Info("waiting for up to %s, until %s: %v", r.plan.Time.Lock, formatTime(until), by)
	})
	if err != nil {
		return err
	}
	r.lease = held
	r.console.Info("the lock is held, generation %d", held.Generation())
	return errors.Join(r.console.SaveState(stateDeployment, r.plan.DeploymentID), r.console.SaveState(stateLock, held.Token))
}

// inspectHosts asks the hosts what they run, and refuses to replace what must not be
// replaced.
func (r *run) inspectHosts(ctx context.Context, found []fleet.Instance) error {
	r.result.Hosts = append(r.result.Hosts, newHosts(found)...)
	unanswered, err := r.commander().queryHosts(ctx, r.result.Hosts, false)
	if r.plan.Operation == Rollback && len(unanswered) < len(r.result.Hosts) {
		unanswered = nil
		r.result.Hosts = slices.DeleteFunc(r.result.Hosts, func(h *Host) bool {
			if h.Report == nil {
				r.leaveOut(h, "cannot report what it runs: "+h.Message)
			}
			return h.Report == nil
		})
	}
	problems := slices.Concat(unanswered, []error{err})
	if r.plan.Operation == Rollback && errors.Join(problems...) == nil {
		problems = append(problems, r.resolveTarget(ctx))
	}
	for _, host := range r.result.Hosts {
		problems = append(problems, r.checkInstalled(host))
	}
	if errors.Join(problems...) == nil {
		problems = append(problems, r.checkCurrent())
	}
	return errors.Join(limitProblems(problems), setOutputs(r.console, "instance-count", fmt.Sprint(len(found)), "previous-version", r.result.Previous()))
}

func newHosts(found []fleet.Instance) (hosts []*Host) {
	for _, instance := range found {
		hosts = append(hosts, &Host{Instance: instance, State: NotStarted})
	}
	return hosts
}

// checkInstalled refuses to replace another environment's release, or a newer one unless
// allow-downgrade is set.
func (r *run) checkInstalled(host *Host) error {
	if host.Before == "" {
		return nil
	}
	installed, err := release.ParseVersion(host.Before)
	switch {
	case err != nil:
		return fmt.Errorf("instance %s runs something else: %w", host.ID, err)
	case installed.Environment() != r.plan.Release.Environment:
		return fmt.Errorf("instance %s runs %s, which belongs to environment %s; is it the right instance?", host.Instance, installed, installed.Environment())
	case r.allowsDowngrade():
		return nil
	}
	return release.CheckDowngrade(r.plan.Release.Version, installed, host.String())
}

// checkCurrent refuses a version that is older than the current one, also when no instance
// of this run has that.
func (r *run) checkCurrent() error {
	if r.result.Current.Version == "" || r.allowsDowngrade() {
		return nil
	}
	current, err := release.ParseVersion(r.result.Current.Version)
	if err != nil {
		return fmt.Errorf("the bucket's current release: %w", err)
	}
	return release.CheckDowngrade(r.plan.Release.Version, current, "the instances of "+r.plan.Release.Environment)
}

func (r *run) allowsDowngrade() bool {
	return r.plan.Rollout.Policy.AllowDowngrade || r.plan.Operation == Rollback
}

// maxProblems bounds a list of problems with instances, each of which may have the same.
const maxProblems = 20

// limitProblems joins problems, up to maxProblems of them.
func limitProblems(problems []error) error {
	problems = slices.DeleteFunc(problems, func(err error) bool { return err == nil })
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems:maxProblems], fmt.Errorf("and %d more", more))
	}
	return errors.Join(problems...)
}
