package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

var errNoAnswer = errors.New("no answer within the time limits of the command")

// States counts instances by the status that SSM gives them; an instance that SSM
// does not list yet is "Pending".
type States map[string]int

// patience is how many sweeps in a row may go wrong, each after the SDK's own
// retries, before the command is given up as unobservable.
const patience = 10

// follow polls one command until each of its instances has ended. The command's
// own status is never looked at: it is Success when one instance succeeded and
// the others were never reached.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
func (f *Fleet) follow(ctx context.Context, run *Run, progress Progress) error {
	open := map[string]*Result{}
	for i := range run.Results {
		r := &run.Results[i]
		r.Outcome, r.Status, r.Reason = Unknown, "Pending", ""
		open[r.Instance.ID] = r
	}
	err := f.wait(ctx, run, open, progress)
	if err == nil {
		return nil
	}
	for _, r := range open {
		r.Reason = fmt.Sprintf("last seen as %s, then: %v", r.Status, err)
	}
	return fmt.Errorf("follow command %s: %w", run.CommandID, err)
}

func (f *Fleet) wait(ctx context.Context, run *Run, open map[string]*Result, progress Progress) error {
	var last States
	failures := 0
	for delay := f.pace.first; ; delay = min(delay*5/4, f.pace.last) {
		states := run.states()
		if progress != nil && !maps.Equal(states, last) {
			progress(run.CommandID, states)
		}
		last = states
		if len(open) == 0 {
			return nil
		}
		if err := pause(ctx, delay); err != nil {
			return err
		}
		err := f.look(ctx, run.CommandID, open)
		if failures++; err == nil {
			failures = 0
		} else if failures >= patience && ctx.Err() == nil {
			return err
		}
	}
}

func (r *Run) states() States {
	states := States{}
	for i := range r.Results {
		states[r.Results[i].Status]++
	}
	return states
}

// look takes one sweep over the invocations and closes the results that have
// ended. Right after the send the list is empty: what is not listed is pending.
func (f *Fleet) look(ctx context.Context, command string, open map[string]*Result) error {
	pages := ssm.NewListCommandInvocationsPaginator(f.ssm, &ssm.ListCommandInvocationsInput{
		CommandId: &command, MaxResults: aws.Int32(50), Details: true,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, invocation := range page.CommandInvocations {
			result, waiting := open[aws.ToString(invocation.InstanceId)]
			if !waiting {
				continue
			}
			result.Status = describeStatus(invocation)
			if !ended(invocation.Status) {
				continue
			}
			closed, err := f.read(ctx, invocation, result)
			if err != nil {
				return err
			}
			if closed {
				delete(open, result.Instance.ID)
			}
		}
	}
	return nil
}

// standardError comes between the two streams in a list's output.
// https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/framework/processor/executer/iohandler/iohandler.go
const standardError = "\n----------ERROR-------\n"

// read takes an instance's own answer: from the list when all went well, which
// saves a call, and otherwise with the first 24,000 characters of its output,
// where the list has 2,500. It is false when the answer is not to be had yet.
func (f *Fleet) read(ctx context.Context, invocation types.CommandInvocation, result *Result) (bool, error) {
	if undelivered(result.Status) {
		result.judge(invocation.Status, nil)
		return true, nil
	}
	if invocation.Status == types.CommandInvocationStatusSuccess && len(invocation.CommandPlugins) == 1 {
		stdout, _, _ := strings.Cut(aws.ToString(invocation.CommandPlugins[0].Output), standardError)
		report, err := parseReport(stdout)
		if err == nil {
			result.Report = report
			result.judge(invocation.Status, nil)
			return true, nil
		}
	}
	answer, err := f.ssm.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{
		CommandId: invocation.CommandId, InstanceId: invocation.InstanceId,
	})
	var early *types.InvocationDoesNotExist
	if errors.As(err, &early) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read answer of %s: %w", result.Instance.ID, err)
	}
	result.ExitCode = int(answer.ResponseCode)
	result.Log = aws.ToString(answer.StandardErrorContent)
	report, problem := parseReport(aws.ToString(answer.StandardOutputContent))
	result.Report = report
	result.judge(answer.Status, problem)
	return true, nil
}

func describeStatus(i types.CommandInvocation) string {
	if details := aws.ToString(i.StatusDetails); details != "" {
		return details
	}
	return string(i.Status)
}

// ended tells whether a status is final. A status that is not known to be on the
// way is taken as final, and is judged as unknown then.
func ended(status types.CommandInvocationStatus) bool {
	switch status {
	case types.CommandInvocationStatusPending, types.CommandInvocationStatusInProgress,
		types.CommandInvocationStatusDelayed, types.CommandInvocationStatusCancelling:
		return false
	}
	return true
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
