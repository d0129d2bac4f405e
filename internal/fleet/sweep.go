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
)

// sweep goes over a command's invocations and closes the results that have
// ended. Right after the send the list is empty: what is not listed is pending.
func (f *Fleet) sweep(ctx context.Context, c *command, run *Run) error {
	pages := ssm.NewListCommandInvocationsPaginator(f.ssm, &ssm.ListCommandInvocationsInput{
		CommandId: &c.id, MaxResults: aws.Int32(50), Details: true,
	})
	for pages.HasMorePages() {
		if err := f.look(ctx); err != nil {
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
			result.Status = describeStatus(invocation)
			if !ended(invocation.Status) {
				continue
			}
			closed, err := f.read(ctx, invocation, result, run)
			if err != nil {
				return err
			}
			if closed {
				delete(c.open, result.Instance.ID)
				c.ended++
			}
		}
	}
	c.swept = time.Now()
	return nil
}

// standardError comes between the two streams in a list's output.
// https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/framework/processor/executer/iohandler/iohandler.go
const standardError = "\n----------ERROR-------\n"

// maxLogs is how many instances that failed are asked for the end of their log: a request
// each, and of more than these nobody reads it.
const maxLogs = 20

// read takes an instance's own answer: from the list when all went well, which
// saves a call, and otherwise with the first 24,000 characters of its output,
// where the list has 2,500. It is false when the answer is not to be had yet.
func (f *Fleet) read(ctx context.Context, invocation types.CommandInvocation, result *Result, run *Run) (bool, error) {
	if undelivered(result.Status) {
		result.judge(invocation.Status, nil)
		return true, nil
	}
	if len(invocation.CommandPlugins) == 1 && (invocation.Status == types.CommandInvocationStatusSuccess || run.logs >= maxLogs) {
		stdout, _, _ := strings.Cut(aws.ToString(invocation.CommandPlugins[0].Output), standardError)
		report, err := parseReport(stdout)
		if err == nil {
			result.Report, result.ExitCode = report, int(invocation.CommandPlugins[0].ResponseCode)
			result.judge(invocation.Status, nil)
			return true, nil
		}
	}
	if err := f.look(ctx); err != nil {
		return false, err
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
	run.logs++
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
