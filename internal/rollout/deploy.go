package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/lease"
)

// rollOut brings the release to the hosts in waves, and goes no further when one of them is
// not proved to run it. Those that run it already are left alone.
func (r *run) rollOut(ctx context.Context) error {
	if err := r.checkQuarantine(); err != nil {
		return err
	}
	todo := r.todo()
	waves := cut(todo, r.plan.Waves)
	r.note(ctx)
	for i, wave := range waves {
		title := "Roll out"
		if len(waves) > 1 {
			title = fmt.Sprintf("Roll out, wave %d of %d: %s", i+1, len(waves), Instances(len(wave)))
		}
		if err := r.wave(ctx, title, wave); err != nil {
			return r.giveUp(ctx, wave, err)
		}
	}
	if err := r.follow(ctx); err != nil {
		return r.giveUp(ctx, nil, err)
	}
	return r.setCurrent(r.guarded(ctx))
}

// todo are the hosts that do not run the release yet, as it is meant to, the least healthy
// ones first.
func (r *run) todo() (list []*Host) {
	w := r.want()
	for _, host := range r.result.Hosts {
		if w.runs(host.Report) {
			host.State, host.Message = Deployed, "ran it before, and was seen healthy"
			continue
		}
		list = append(list, host)
	}
	if done := len(r.result.Hosts) - len(list); done > 0 {
		r.console.Info("%s of %d run %s already", Instances(done), len(r.result.Hosts), r.plan.Release.Version)
	}
	inOrder(list)
	return list
}

// want is what a host of this run has to prove.
func (r *run) want() want {
	return want{deployment: r.plan.DeploymentID, service: r.plan.Release.Service, version: r.plan.Release.Version.String(), digest: r.result.Image.Digest}
}

// wave deploys to some hosts at once. The error says which of them are not proved to run
// the release, and what else went wrong.
func (r *run) wave(ctx context.Context, title string, hosts []*Host) error {
	return r.group(ctx, title, func(ctx context.Context) error {
		for _, part := range r.parts(hosts) {
			script, err := r.script(ctx, part.release)
			if err == nil {
				err = r.command(ctx, script, r.want(), part.hosts)
			}
			if err = errors.Join(err, failures(part.hosts, len(r.result.Hosts))); err != nil {
				return err
			}
		}
		r.note(ctx)
		return nil
	})
}

// part is some hosts of a wave that get the same command.
type part struct {
	hosts   []*Host
	release bool // the command brings the release along; else it is there already
}

// parts splits a wave: in a rollback most hosts have the release.
func (r *run) parts(hosts []*Host) (parts []part) {
	bring, have := part{release: true}, part{}
	for _, host := range hosts {
		if r.plan.Operation == Deploy || r.lacking[host.ID] {
			bring.hosts = append(bring.hosts, host)
		} else {
			have.hosts = append(have.hosts, host)
		}
	}
	for _, p := range []part{have, bring} {
		if len(p.hosts) > 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

func (r *run) script(ctx context.Context, release bool) (fleet.Script, error) {
	if !release {
		return r.wayBack(r.plan.DeploymentID, r.plan.Release.Version.String()), nil
	}
	size, err := r.services.Repository.Size(ctx, r.result.Image.Digest)
	return r.wayThere(size), err
}

// command has hosts run a script and settles what became of each.
func (r *run) command(ctx context.Context, script fleet.Script, w want, hosts []*Host) error {
	var problems []error
	before := r.result.CommandIDs
	sent := 0
	answer, err := r.services.Fleet.Run(ctx, script, named(hosts), func(commands []string, states fleet.States) {
		for ; sent < len(commands); sent++ {
			r.console.Info("command %s", commands[sent])
			r.result.CommandIDs = slices.Concat(before, commands[:sent+1])
			problems = append(problems, r.known())
		}
		r.console.Info("%s", describe(states))
	})
	for i, reply := range answer.Results {
		hosts[i].settle(w, reply)
	}
	problems = append(problems, err, r.settleUnknown(ctx, w, hosts))
	for _, host := range hosts {
		if host.State == Deployed && len(hosts) > maxListed {
			continue
		}
		r.console.Info("%s: %s: %s", host.Instance, host.State, host.Message)
		if host.State != Deployed {
			r.console.Untrusted(host.Log)
		}
	}
	return errors.Join(problems...)
}

// wayThere is the command of a deploy of an image of that many bytes. Only
// parameters differ between two deploys, and each but the health check's own two is
// of a fixed form.
func (r *run) wayThere(size int64) fleet.Script {
	script := r.begin("deploy", r.plan.DeploymentID, "deploy")
	add := func(name string, value any) {
		script.Parameters = append(script.Parameters, fmt.Sprintf("--%s=%v", name, value))
	}
	seconds := func(d time.Duration) int { return int(d / time.Second) }
	add("version", r.plan.Release.Version)
	add("image", r.result.Image.URI)
	add("image-bytes", size)
	add("region", r.plan.Region)
	add("bundle", r.result.Bundle.URI)
	add("sha256", r.result.Bundle.SHA256)
	add("allow-downgrade", r.plan.AllowDowngrade || r.plan.Operation == Rollback)
	add("allow-quarantined", r.plan.AllowQuarantined)
	add("on-running", r.plan.OnRunning)
	add("drain-timeout", seconds(r.plan.DrainTimeout))
	add("run-on-deploy", r.plan.RunOnDeploy)
	add("health-timeout", seconds(r.plan.HealthTimeout))
	add("min-healthy-time", seconds(r.plan.MinHealthyTime))
	add("keep-releases", r.plan.KeepReleases)
	if r.plan.HealthCommand != "" {
		add("health-command", r.plan.HealthCommand)
	}
	if r.plan.HealthURL != "" {
		add("health-url", r.plan.HealthURL)
	}
	return script
}

// wayBack is the command of a rollback to a version that the host has; without one it is
// that which the host was seen healthy with before.
func (r *run) wayBack(deployment, version string) fleet.Script {
	script := r.begin("rollback", deployment, "roll back")
	if version != "" {
		script.Parameters = append(script.Parameters, "--version="+version)
	}
	return script
}

// begin is what every command that changes something has: hosts check that it comes in
// time, and after no later one.
func (r *run) begin(command, deployment, verb string) fleet.Script {
	return fleet.Script{
		Text: deploy.Bootstrap,
		Parameters: []string{
			command, "--service=" + r.plan.Release.Service, "--deployment=" + deployment, fmt.Sprintf("--generation=%d", r.lock.Generation()),
			fmt.Sprintf("--not-after=%d", r.plan.Deadline.Add(r.services.Skew).Unix()),
		},
		Comment:       fmt.Sprintf("%s %s %s", verb, r.plan.Release.Service, deployment),
		Timeout:       r.plan.CommandTimeout,
		StopOnFailure: true,
	}
}

// known hands on the ids of the commands, also to the step that may have to cancel them.
func (r *run) known() error {
	ids := joined(r.result.CommandIDs)
	return errors.Join(r.output("command-ids", ids), r.console.SaveState("commands", ids))
}

// maxJoining bounds how often instances that have come meanwhile are looked for.
const maxJoining = 3

// follow deploys to instances that have got the tags since the run began, so that every
// instance runs the release when it ends.
func (r *run) follow(ctx context.Context) error {
	if len(r.plan.Targets.Tags) == 0 {
		return nil
	}
	for range maxJoining {
		come, err := r.joiners(ctx)
		if err != nil || len(come) == 0 {
			return err
		}
		if err := r.wave(ctx, "Roll out to those that have come meanwhile: "+Instances(len(come)), come); err != nil {
			return err
		}
	}
	come, err := r.joiners(ctx)
	if err == nil && len(come) > 0 {
		err = failures(come, len(r.result.Hosts))
	}
	return err
}

// joiners are the hosts that were not there before, and that are to get the release.
func (r *run) joiners(ctx context.Context) ([]*Host, error) {
	ready, unready, err := r.services.Fleet.Find(ctx, r.plan.Targets)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, host := range r.result.Hosts {
		seen[host.ID] = true
	}
	var problems []error
	first := len(r.result.Hosts)
	for _, instance := range ready {
		if !seen[instance.ID] {
			r.result.Hosts = append(r.result.Hosts, &Host{Instance: instance, State: NotDeployed, Message: "has come meanwhile"})
		}
	}
	for _, problem := range unready {
		if !seen[problem.Instance.ID] {
			problems = append(problems, fmt.Errorf("an instance has come meanwhile: %w", problem))
		}
	}
	come := r.result.Hosts[first:]
	if len(come) > 0 && problems == nil {
		problems = append(problems, r.ask(r.guarded(ctx), come))
		for _, host := range come {
			problems = append(problems, r.checkBefore(host))
		}
	}
	return come, errors.Join(problems...)
}

// QuarantineError says that an image is not to be deployed.
type QuarantineError struct {
	lease.Quarantine
	Environment string
}

func (e *QuarantineError) Error() string {
	return fmt.Sprintf("this image is quarantined in %s: as %s it was found unhealthy at %s, by deployment %s; allow-quarantined was not given",
		e.Environment, e.Version, e.Since.UTC().Format(time.RFC3339), e.Deployment)
}

// checkQuarantine refuses an image that was found unhealthy on other instances.
func (r *run) checkQuarantine() error {
	found := r.result.Current.FindQuarantine(r.result.Image.Digest)
	if found == nil || r.plan.AllowQuarantined {
		return nil
	}
	return &QuarantineError{*found, r.plan.Release.Environment}
}

// setCurrent writes down what should run from now on.
func (r *run) setCurrent(ctx context.Context) error {
	version, digest := r.plan.Release.Version.String(), r.result.Image.Digest
	if digest == "" { // a rollback that needed no registry
		digest = r.result.Hosts[0].Report.Digest
		r.result.Image.Digest = digest
	}
	err := r.services.Lease.UpdateCurrent(ctx, r.lock.Generation(), func(c *lease.Current) {
		c.LiftQuarantine(digest)
		if c.Version == version && c.Digest == digest {
			return
		}
		c.Before, c.Version, c.Digest, c.Image = c.Version, version, digest, r.result.Image.URI
		c.Deployment, c.Since = r.plan.DeploymentID, time.Now().UTC().Truncate(time.Second)
	})
	if err != nil {
		return fmt.Errorf("every instance runs %s, but writing down that it should went wrong: %w", version, err)
	}
	return nil
}
