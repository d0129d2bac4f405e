package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Progress is called with the ids of the commands and the states of the instances, whenever
// either has changed.
type Progress func(commands []string, states States)

// Run sends command to all instances, fifty with each command, and returns when each has
// its result.
//
// The error is about the commands as a whole: one could not be sent, which ends the
// sending, or they could not be followed, or ctx ended, in which case they are cancelled
// first. The results are complete in every case: an instance without an answer is
// Unknown, or NotDelivered when nothing was sent to it.
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
		err = nil // each instance's result says so
	case ctx.Err() != nil:
		err = errors.Join(err, f.cancelAll(ctx, &run))
	}
	return run, errors.Join(problem, err)
}

// sendCommands sends one command after the other until one is refused or ctx ends.
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
					r.Outcome, r.Reason = Unknown, "nobody knows whether the command was sent: "+err.Error()
				}
			}
			return fmt.Errorf("send command: %w", err)
		}
		for _, r := range c.open {
			r.Outcome, r.Status, r.Reason = Unknown, StatusPending, ""
		}
		run.commands = append(run.commands, c)
		run.CommandIDs = append(run.CommandIDs, c.id)
		run.reportProgress()
	}
	return nil
}
