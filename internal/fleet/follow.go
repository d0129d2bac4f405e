package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

var errNoAnswer = errors.New("no answer within the time limits of the command")

// States counts instances by the status that SSM gives them; an instance that SSM
// does not list yet is "Pending".
type States map[string]int

// command is one SendCommand under way.
type command struct {
	id, comment string
	requested   time.Time // by SSM's clock
	unheard     bool      // a copy may have been taken before it
	open        map[string]*Result

	sent, swept time.Time // by this machine's clock
	ended       int       // instances seen ended so far
}

// patience is how many looks in a row may go wrong, each after the SDK's own
// retries, before the commands are given up as unobservable.
const patience = 10

// follow looks at the commands until each of their instances has ended. What SSM says of a
// command as a whole decides nothing: it is Success when one instance succeeded and the
// others were never reached. Its counters only tell where to look.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
func (f *Fleet) follow(ctx context.Context, run *Run) error {
	err := f.watch(ctx, run)
	if err == nil {
		return nil
	}
	for _, c := range run.commands {
		for _, r := range c.open {
			r.Reason = fmt.Sprintf("last seen as %s, then: %v", r.Status, err)
		}
	}
	if len(run.commands) == 1 {
		return fmt.Errorf("follow command %s: %w", run.commands[0].id, err)
	}
	return fmt.Errorf("follow %d commands: %w", len(run.commands), err)
}

func (f *Fleet) watch(ctx context.Context, run *Run) error {
	failures := 0
	for delay := f.pace.first; ; delay = min(delay*5/4, f.slowest(run)) {
		run.tell()
		if run.unended() == 0 {
			return nil
		}
		if err := pause(ctx, delay); err != nil {
			return err
		}
		err := f.lookAround(ctx, run)
		if failures++; err == nil {
			failures = 0
		} else if ctx.Err() != nil {
			return context.Cause(ctx)
		} else if failures >= patience {
			return err
		}
	}
}

// slowest is how long to wait between two looks at most: for a small fleet the end is
// learned of within that, and for a large one it gets short when the end is near.
func (f *Fleet) slowest(run *Run) time.Duration {
	if len(run.commands) == 1 || run.unended()*10 <= len(run.Results) {
		return f.pace.last
	}
	return f.pace.many
}

// lookAround sweeps one command at each look, and of several those whose counters have
// moved, or that have not been swept for long.
func (f *Fleet) lookAround(ctx context.Context, run *Run) error {
	if len(run.commands) == 1 {
		return f.sweep(ctx, run.commands[0], run)
	}
	moved, err := f.moved(ctx, run)
	if err != nil {
		return err
	}
	for _, c := range run.commands {
		if len(c.open) > 0 && (moved[c] || time.Since(c.swept) > f.pace.stale) {
			if err := f.sweep(ctx, c, run); err != nil {
				return err
			}
		}
	}
	return nil
}

// moved are the commands of which more instances have ended than were seen to.
func (f *Fleet) moved(ctx context.Context, run *Run) (map[*command]bool, error) {
	known := map[string]*command{}
	since := run.commands[0].requested
	for _, c := range run.commands {
		known[c.id] = c
		if c.requested.Before(since) {
			since = c.requested
		}
	}
	moved := map[*command]bool{}
	for info, err := range f.commandsSince(ctx, since.Add(-time.Second)) {
		if err != nil {
			return nil, err
		}
		if c := known[aws.ToString(info.CommandId)]; c != nil {
			moved[c] = int(info.CompletedCount) > c.ended
		}
	}
	return moved, nil
}

// tell reports the states when they have changed, or a command has been sent.
func (r *Run) tell() {
	states := r.states()
	if r.progress == nil || len(r.CommandIDs) == r.told && maps.Equal(states, r.last) {
		return
	}
	r.told, r.last = len(r.CommandIDs), states
	r.progress(r.CommandIDs, states)
}

func (r *Run) states() States {
	states := States{}
	for i := range r.Results {
		states[r.Results[i].Status]++
	}
	return states
}

func (r *Run) unended() (n int) {
	for _, c := range r.commands {
		n += len(c.open)
	}
	return n
}

// look waits until following may make another request.
func (f *Fleet) look(ctx context.Context) error {
	if f.looks.Wait(ctx) == nil {
		return nil
	}
	<-ctx.Done() // it does not wait for what comes too late
	return context.Cause(ctx)
}

// pause waits for about d, so that runs do not ask in step.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d*4/5 + rand.N(d*2/5+1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
