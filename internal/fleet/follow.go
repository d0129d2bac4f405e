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

var errNoAnswer = errors.New("no answer within the timeouts of the command")

// States counts instances by their SSM status; an instance that SSM does not list yet is "Pending".
type States map[string]int

// sentCommand is a command that was sent, or is being sent.
type sentCommand struct {
	id, comment  string
	requestedAt  time.Time // by SSM's clock
	responseLost bool      // SSM may also have accepted an earlier copy
	open         map[string]*Result

	sentAt, listedAt time.Time // by this machine's clock
	ended            int       // instances on which it is known to have ended
}

// maxPollFailures is the number of consecutive failed polls, each after the SDK's own retries, after which following stops.
const maxPollFailures = 10

// followCommands polls the commands until they have ended on every instance. It ignores the
// overall status of a command, which is Success even if one instance succeeded and the others
// were never reached. The counters only show which commands to list.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
func (f *Fleet) followCommands(ctx context.Context, run *Run) error {
	err := f.pollUntilFinal(ctx, run)
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

func (f *Fleet) pollUntilFinal(ctx context.Context, run *Run) error {
	failures := 0
	for delay := f.timing.firstPoll; ; delay = min(delay*5/4, f.maxPollDelay(run)) {
		run.reportProgress()
		if run.countOpen() == 0 {
			return nil
		}
		if err := sleepJittered(ctx, delay); err != nil {
			return err
		}
		err := f.pollCommands(ctx, run)
		if failures++; err == nil {
			failures = 0
		} else if ctx.Err() != nil {
			return context.Cause(ctx)
		} else if failures >= maxPollFailures {
			return err
		}
	}
}

// maxPollDelay returns the longest wait between two polls. It is short for a small fleet, and
// for a large one that has nearly finished.
func (f *Fleet) maxPollDelay(run *Run) time.Duration {
	if len(run.commands) == 1 || run.countOpen()*10 <= len(run.Results) {
		return f.timing.slowestPoll
	}
	return f.timing.slowestPollMany
}

// pollCommands lists the invocations of a single command at every poll. Of several commands,
// it lists those whose counters have changed or whose last list is too old.
func (f *Fleet) pollCommands(ctx context.Context, run *Run) error {
	if len(run.commands) == 1 {
		return f.listInvocations(ctx, run.commands[0], run)
	}
	changed, err := f.changedCommands(ctx, run)
	if err != nil {
		return err
	}
	for _, c := range run.commands {
		if len(c.open) > 0 && (changed[c] || time.Since(c.listedAt) > f.timing.maxListAge) {
			if err := f.listInvocations(ctx, c, run); err != nil {
				return err
			}
		}
	}
	return nil
}

// changedCommands returns the commands that have ended on more instances than are known.
func (f *Fleet) changedCommands(ctx context.Context, run *Run) (map[*sentCommand]bool, error) {
	known := map[string]*sentCommand{}
	since := run.commands[0].requestedAt
	for _, c := range run.commands {
		known[c.id] = c
		if c.requestedAt.Before(since) {
			since = c.requestedAt
		}
	}
	changed := map[*sentCommand]bool{}
	for info, err := range f.commandsSince(ctx, run.command.Document, since.Add(-time.Second)) {
		if err != nil {
			return nil, err
		}
		if c := known[aws.ToString(info.CommandId)]; c != nil {
			changed[c] = int(info.CompletedCount) > c.ended
		}
	}
	return changed, nil
}

// reportProgress reports the states if they have changed or another command was sent.
func (r *Run) reportProgress() {
	states := r.countStates()
	if r.progress == nil || len(r.CommandIDs) == r.reportedCommands && maps.Equal(states, r.reportedStates) {
		return
	}
	r.reportedCommands, r.reportedStates = len(r.CommandIDs), states
	ended := r.ended
	r.ended = nil
	r.progress(r.CommandIDs, states, ended)
}

func (r *Run) countStates() States {
	states := States{}
	for i := range r.Results {
		states[string(r.Results[i].Status)]++
	}
	return states
}

func (r *Run) countOpen() (n int) {
	for _, c := range r.commands {
		n += len(c.open)
	}
	return n
}

// waitForRateLimit waits until the rate limit of following allows another request.
func (f *Fleet) waitForRateLimit(ctx context.Context) error {
	if f.limiter.Wait(ctx) == nil {
		return nil
	}
	<-ctx.Done() // Wait returns an error at once if the deadline would come first
	return context.Cause(ctx)
}

// sleepJittered waits for about d, so that concurrent runs do not poll in step.
func sleepJittered(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d*4/5 + rand.N(d*2/5+1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
