package rollout

import (
	"context"
	"errors"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/lease"
)

// run is one operation under way.
type run struct {
	plan      Plan
	console   *narrator
	log       *liveLog // nil without log-group
	services  Services
	artifacts artifacts
	lease     *lease.Lease    // nil until it is held, and in an operation that changes nothing
	document  fleet.Document  // without a version until it is checked; zero: AWS-RunShellScript
	fence     int64           // without a lease, the generation that commands carry; 0: none
	missing   map[string]bool // instances, by id, that do not hold the release of a rollback
	left      []*Host         // by a rollback, since they cannot be reached
	result    Result
}

type phase struct {
	title string // empty: it opens its own groups
	do    func(context.Context) error
}

// Run carries out the plan. An error in one phase ends the run before the next one. The
// result says how far it got, also when there is an error.
func Run(ctx context.Context, plan Plan, account Account, console Console) (Result, error) {
	started := time.Now()
	narrated := newNarrator(console)
	defer narrated.announceWaits()() //nolint:contextcheck // it ends with the run
	r := &run{plan: plan, console: narrated, document: fleet.Document{Name: plan.Rollout.Document}, result: Result{Plan: plan}}
	r.artifacts = artifacts{plan: &r.plan, console: narrated, services: &r.services, result: &r.result}
	err := r.runPhases(ctx, account)
	err = errors.Join(err, r.artifacts.closeSource())
	if r.plan.Operation != CleanUp {
		r.result.Status = r.outcome(ctx, err)
	}
	r.result.Elapsed = time.Since(started)
	r.finishRun(ctx)
	return r.result, err
}

// phases are the steps of the operation, in their order.
func (r *run) phases(account Account) []phase {
	switch r.plan.Operation {
	case CleanUp:
		return []phase{{"Clean up", func(ctx context.Context) error { return r.cleanUp(ctx, account) }}}
	case Status:
		return []phase{{"Status", func(ctx context.Context) error { return r.inspectFleet(ctx, account) }}}
	case Doctor:
		return []phase{{"Doctor", func(ctx context.Context) error { return r.diagnoseDeploy(ctx, account) }}}
	}
	var list []phase
	if r.plan.Operation == Deploy {
		list = append(list, phase{"Read", func(ctx context.Context) error { return r.artifacts.readSources(ctx, account) }})
	}
	list = append(list, phase{"Preflight", func(ctx context.Context) error { return r.runPreflight(ctx, account) }})
	if r.plan.DryRun {
		return append(list, phase{"Plan", r.describePlan})
	}
	if r.plan.Phases.Image {
		list = append(list, phase{"Push image", r.artifacts.pushImage})
	}
	if r.plan.Phases.Bundle {
		list = append(list, phase{"Upload bundle", r.artifacts.uploadBundle})
	}
	if r.plan.Phases.Rollout {
		list = append(list, phase{"", r.rollOut})
	}
	if r.plan.Phases.Rollout && len(r.plan.Image.Tags) > 0 {
		list = append(list, phase{"Move tags", r.artifacts.moveTags})
	}
	return list
}

func (r *run) runPhases(ctx context.Context, account Account) error {
	for _, phase := range r.phases(account) {
		if err := r.runGroup(ctx, phase.title, phase.do); err != nil {
			return err
		}
	}
	return nil
}

// runGroup calls do under a title, unless that is empty, for as long as the lease is held.
func (r *run) runGroup(ctx context.Context, title string, do func(context.Context) error) error {
	if title == "" {
		return do(ctx)
	}
	defer r.console.beginWait(r.plan.Deadline, func() string { return "the end of the step " + title })()
	step := Step{Title: title, Began: time.Now()}
	err := r.console.Group(title, func() error { return do(r.leaseContext(ctx)) })
	step.Ended, step.Failed = time.Now(), err != nil
	r.result.Steps = append(r.result.Steps, step)
	return err
}

func isDone(ctx context.Context) bool { return ctx.Err() != nil }

// leaseContext ends with the lease as well: a run that loses it stops.
func (r *run) leaseContext(ctx context.Context) context.Context {
	if r.lease == nil {
		return ctx
	}
	return r.lease.Context(ctx)
}

func (r *run) outcome(ctx context.Context, err error) Outcome {
	switch {
	case r.plan.DryRun && err == nil:
		return OutcomePlanned
	case (r.plan.Operation == Status || r.plan.Operation == Doctor) && err == nil:
		return OutcomeSuccess
	}
	return fleetOutcome(ctx, r.result.Hosts, err)
}

// expectation is what a host of this run has to prove.
func (r *run) expectation() expectation {
	return expectation{
		deployment: r.plan.DeploymentID, service: r.plan.Release.Service,
		version: r.plan.Release.Version.String(), digest: r.result.Image.Digest,
		mustRun: r.plan.Operation == Deploy && r.plan.Rollout.Policy.RunOnDeploy,
	}
}

// commander sends this run's commands.
func (r *run) commander() *commander {
	return &commander{
		version: r.plan.Release.Version.String(),
		fleet:   r.services.Fleet, document: r.document, console: r.console, log: r.log, lease: r.lease, fence: r.fence,
		delivery: r.plan.Time.Delivery, timeout: r.plan.Time.Command, total: len(r.result.Hosts),
		header: deploy.Header{
			Service: r.plan.Release.Service, DeploymentID: r.plan.DeploymentID, NotAfter: r.plan.Deadline.Add(r.services.Skew),
		},
		saveCommandIDs: r.saveCommandIDs,
	}
}

// saveCommandIDs publishes the ids of commands, also to the post step, which may have to
// cancel them.
func (r *run) saveCommandIDs(ids []string) error {
	r.result.CommandIDs = append(r.result.CommandIDs, ids...)
	list := joinIDs(r.result.CommandIDs)
	return errors.Join(r.console.Output("command-ids", list), r.console.SaveState(stateCommands, list))
}

// setOutputs publishes several values at once, as name, value, name, value.
func setOutputs(console Console, pairs ...string) error {
	var problems []error
	for i := 0; i < len(pairs); i += 2 {
		problems = append(problems, console.Output(pairs[i], pairs[i+1]))
	}
	return errors.Join(problems...)
}
