package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

// listInvocations lists a command's invocations and completes the results of those that have
// ended. An instance that is not listed is pending: right after the send, the list is empty.
func (f *Fleet) listInvocations(ctx context.Context, c *sentCommand, run *Run) error {
	pages := ssm.NewListCommandInvocationsPaginator(f.ssm, &ssm.ListCommandInvocationsInput{
		CommandId: &c.id, MaxResults: aws.Int32(50), Details: true,
	})
	for pages.HasMorePages() {
		if err := f.waitForRateLimit(ctx); err != nil {
			return err
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, invocation := range page.CommandInvocations {
			result, waiting := c.open[aws.ToString(invocation.InstanceId)]
			if !waiting {
				continue
			}
			result.Status = statusOf(invocation)
			if !isFinal(invocation.Status) {
				continue
			}
			closed, err := f.readAnswer(ctx, invocation, result, run)
			if err != nil {
				return err
			}
			if closed {
				result.Ended = time.Now()
				delete(c.open, result.Instance.ID)
				c.ended++
				run.ended = append(run.ended, *result)
			}
		}
	}
	c.listedAt = time.Now()
	return nil
}

// standardError separates stdout from stderr in the output of a list.
// https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/framework/processor/executer/iohandler/iohandler.go
const standardError = "\n----------ERROR-------\n"

// maxLogs limits the number of instances whose whole output is read although the list has the answer, one request each.
const maxLogs = 20

// readAnswer completes an instance's result: after a success from the list, which saves a request, otherwise from the first
// 24,000 characters of stdout and the first 8,000 of stderr. Where that is denied, the 2,500 characters of the list do. It returns false if SSM does not have the output yet.
func (f *Fleet) readAnswer(ctx context.Context, invocation types.CommandInvocation, result *Result, run *Run) (bool, error) {
	if result.Status.IsUndelivered() {
		result.decideOutcome(invocation.Status)
		return true, nil
	}
	isBrief := invocation.Status == types.CommandInvocationStatusSuccess && !run.command.WantsLog
	if len(invocation.CommandPlugins) == 1 && (isBrief || run.logsRead >= maxLogs || run.Denied != nil) {
		stdout, _, _ := strings.Cut(aws.ToString(invocation.CommandPlugins[0].Output), standardError)
		if run.command.isAnswer(stdout) {
			result.Stdout, result.ExitCode = stdout, int(invocation.CommandPlugins[0].ResponseCode)
			result.decideOutcome(invocation.Status)
			return true, nil
		}
	}
	if err := f.waitForRateLimit(ctx); err != nil {
		return false, err
	}
	invoked, err := f.ssm.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{
		CommandId: invocation.CommandId, InstanceId: invocation.InstanceId,
	})
	var notYet *types.InvocationDoesNotExist
	if errors.As(err, &notYet) {
		return false, nil
	}
	if err != nil {
		err = fmt.Errorf("read output of %s: %w", result.Instance.ID, err)
		if len(invocation.CommandPlugins) != 1 || !isDenied(err) {
			return false, err
		}
		stdout, stderr, _ := strings.Cut(aws.ToString(invocation.CommandPlugins[0].Output), standardError)
		if !run.command.isAnswer(stdout) {
			stderr += "\n" + err.Error() // its last words
		}
		run.Denied = err
		result.Stdout, result.Stderr = stdout, stderr
		result.ExitCode = int(invocation.CommandPlugins[0].ResponseCode)
		result.decideOutcome(invocation.Status)
		return true, nil
	}
	run.logsRead++
	result.ExitCode = int(invoked.ResponseCode)
	result.Stdout, result.Stderr = aws.ToString(invoked.StandardOutputContent), aws.ToString(invoked.StandardErrorContent)
	if result.Stdout+result.Stderr == "" && len(invocation.CommandPlugins) == 1 {
		result.Stderr = explainAgentError(aws.ToString(invocation.CommandPlugins[0].Output))
	}
	result.decideOutcome(invoked.Status)
	return true, nil
}

func isDenied(err error) bool {
	var refused smithy.APIError
	return errors.As(err, &refused) && refused.ErrorCode() == "AccessDeniedException"
}

// explainAgentError returns the output in a list, if a script has printed nothing: it is an error of the agent, or how the script
// has ended.
func explainAgentError(output string) string {
	if _, after, found := strings.Cut("\n"+output, standardError); found {
		output = after
	}
	if output = strings.TrimPrefix(strings.TrimSpace(output), "failed to run commands: "); output == "" || strings.HasPrefix(output, "exit status ") || strings.HasPrefix(output, "signal: ") {
		return ""
	}
	return output + " (the error of the SSM agent itself: is the disk full or read-only?)"
}

// isFinal reports whether a status is final. An undocumented status counts as final, and its outcome is Unknown.
func isFinal(status types.CommandInvocationStatus) bool {
	switch status {
	case types.CommandInvocationStatusPending, types.CommandInvocationStatusInProgress,
		types.CommandInvocationStatusDelayed, types.CommandInvocationStatusCancelling:
		return false
	}
	return true
}
