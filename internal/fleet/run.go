package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Progress is called whenever a command was sent or the states of the instances have changed: with the ids of the commands,
// the states, and the results of the instances that have ended since the last call.
type Progress func(commands []string, states States, ended []Result)

// Run sends command to all instances, fifty at a time, and returns when each has a result.
//
// The error is about the command as a whole: it could not be sent to some instances, it could not be followed, or ctx ended,
// in which case it is cancelled first. The results are always complete: an instance without an answer is Unknown, or
// NotDelivered if nothing was sent to it.
func (f *Fleet) Run(ctx context.Context, command Command, instances []Instance, progress Progress) (Run, error) {
	run := Run{Results: make([]Result, len(instances)), command: command, progress: progress}
	for i, instance := range instances {
		run.Results[i] = Result{Instance: instance, Outcome: NotDelivered, Status: StatusNotSent, Reason: "the command was not sent"}
	}
	problem := f.sendCommands(ctx, command, &run)
	if len(run.commands) == 0 {
		return run, problem
	}
	limit, stop := context.WithTimeoutCause(ctx, f.delivery+command.Timeout+f.timing.answerGrace, errNoAnswer)
	defer stop()
	err := f.followCommands(limit, &run)
	switch {
	case errors.Is(err, errNoAnswer):
		err = nil // each instance's result has the reason
	case ctx.Err() != nil:
		err = errors.Join(err, f.cancelAll(ctx, &run))
	}
	f.settleCopies(ctx, &run)
	return run, errors.Join(problem, err)
}

// settleCopies cancels copies of a command that SSM may have accepted besides the one that was
// followed, which ends as well as they would: an instance carries a deployment out once. But
// that one command was not delivered says nothing of its copy, which may have been, or may
// still arrive.
func (f *Fleet) settleCopies(ctx context.Context, run *Run) {
	for i, c := range run.commands {
		if !c.responseLost {
			continue
		}
		_ = f.Cancel(ctx, f.findCopies(ctx, run, c)...) // what is not cancelled ends at its own timeouts
		for j := i * MaxInstanceIDs; j < min(len(run.Results), (i+1)*MaxInstanceIDs); j++ {
			if r := &run.Results[j]; r.Outcome == NotDelivered {
				r.Outcome, r.Reason = Unknown, r.Reason+"; a copy of it, whose reply was lost, may arrive"
			}
		}
	}
}

// sendCommands sends the command to fifty instances at a time, until a send fails or ctx ends.
func (f *Fleet) sendCommands(ctx context.Context, command Command, run *Run) error {
	for results := range slices.Chunk(run.Results, MaxInstanceIDs) {
		c := &sentCommand{open: map[string]*Result{}, sentAt: time.Now()}
		ids := make([]string, len(results))
		for i := range results {
			ids[i] = results[i].Instance.ID
			c.open[ids[i]] = &results[i]
		}
		if err := f.sendCommand(ctx, f.commandInput(command, ids), c); err != nil {
			for _, r := range c.open {
				r.Reason = "the command was not sent: " + err.Error()
				if !isRefused(err) {
					r.Outcome, r.Reason = Unknown, "the command may have been sent: "+err.Error()
				}
			}
			return fmt.Errorf("send command: %w", err)
		}
		for _, r := range c.open {
			r.Outcome, r.Status, r.Reason, r.CommandID, r.Sent = Unknown, StatusPending, "", c.id, c.sentAt
		}
		run.commands = append(run.commands, c)
		run.CommandIDs = append(run.CommandIDs, c.id)
		run.reportProgress()
	}
	return nil
}
