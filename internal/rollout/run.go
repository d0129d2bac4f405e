package rollout

import (
	"context"
	"errors"
	"time"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/lease"
)

// run is one operation under way.
type run struct {
	plan     Plan
	console  Console
	services Services
	source   *image.Source   // nil without the image phase
	packed   bundle.Bundle   // empty without the bundle phase
	lock     *lease.Lease    // nil until it is held, and in an operation that only asks
	fence    int64           // without a lock, the generation that questions carry; 0: none
	lacking  map[string]bool // instances that a rollback has to bring the release to
	result   Result
}

type phase struct {
	title string // empty: it makes groups of its own
	do    func(context.Context) error
}

// Run carries out the plan. An error in one phase ends the run before the next. The
// result tells how far it got, also when there is an error.
func Run(ctx context.Context, plan Plan, account Account, console Console) (Result, error) {
	started := time.Now()
	r := &run{plan: plan, console: console, result: Result{Plan: plan}}
	err := r.carryOut(ctx, account)
	if r.source != nil {
		err = errors.Join(err, r.source.Close())
	}
	if r.plan.Operation != CleanUp {
		r.result.Status = r.outcome(ctx, err)
	}
	r.result.Elapsed = time.Since(started)
	r.close(ctx)
	return r.result, err
}

// phases are the steps of the operation, in their order.
func (r *run) phases(account Account) []phase {
	if r.plan.Operation == CleanUp {
		return []phase{{"Tidy up", func(ctx context.Context) error { return r.tidyUp(ctx, account) }}}
	}
	preflight := phase{"Preflight", func(ctx context.Context) error { return r.preflight(ctx, account) }}
	if r.plan.Operation == Status {
		return []phase{{"Status", func(ctx context.Context) error { return r.inspect(ctx, account) }}}
	}
	list := []phase{preflight}
	if r.plan.Operation == Deploy {
		list = []phase{{"Read", func(ctx context.Context) error { return r.read(ctx, account) }}, preflight}
	}
	if r.plan.DryRun {
		return append(list, phase{"Plan", r.foresee})
	}
	if r.plan.Image {
		list = append(list, phase{"Push image", r.push})
	}
	if r.plan.Bundle {
		list = append(list, phase{"Upload bundle", r.upload})
	}
	if r.plan.Rollout {
		list = append(list, phase{"", r.rollOut})
	}
	if r.plan.Rollout && len(r.plan.ImageTags) > 0 {
		list = append(list, phase{"Move tags", r.moveTags})
	}
	return list
}

func (r *run) carryOut(ctx context.Context, account Account) error {
	for _, phase := range r.phases(account) {
		if err := r.group(ctx, phase.title, phase.do); err != nil {
			return err
		}
	}
	return nil
}

// group does something under a title, unless that is empty, for as long as the lock is held.
func (r *run) group(ctx context.Context, title string, do func(context.Context) error) error {
	if title == "" {
		return do(ctx)
	}
	return r.console.Group(title, func() error { return do(r.guarded(ctx)) })
}

func ended(ctx context.Context) bool { return ctx.Err() != nil }

// guarded ends with the lock, too: a run that loses it goes no further.
func (r *run) guarded(ctx context.Context) context.Context {
	if r.lock == nil {
		return ctx
	}
	return r.lock.Context(ctx)
}

func (r *run) outcome(ctx context.Context, err error) Outcome {
	switch {
	case r.plan.DryRun && err == nil:
		return OutcomePlanned
	case r.plan.Operation == Status && err == nil:
		return OutcomeSuccess
	}
	return outcome(ctx, r.result.Hosts, err)
}

// output hands on several values at once, as name, value, name, value.
func (r *run) output(pairs ...string) error {
	var problems []error
	for i := 0; i < len(pairs); i += 2 {
		problems = append(problems, r.console.Output(pairs[i], pairs[i+1]))
	}
	return errors.Join(problems...)
}
