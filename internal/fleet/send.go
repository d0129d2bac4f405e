package fleet

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// document is AWS's own; it exists in every account and region.
const document = "AWS-RunShellScript"

// grace is how much longer than its own timeouts a command is waited for, before
// an instance that says nothing is given up.
const grace = 30 * time.Second

// Run sends script to every instance in one command and returns when each has a
// result of its own. progress is told whenever the states have changed.
//
// The error is about the command as a whole: it could not be sent or followed, or
// ctx ended, in which case it is cancelled first. The results are complete in every
// case: an instance without an answer is Unknown, or NotRun when nothing was sent.
func (f *Fleet) Run(ctx context.Context, script Script, instances []Instance, progress func(States)) (Run, error) {
	run := Run{Results: make([]Result, len(instances))}
	for i, instance := range instances {
		run.Results[i] = Result{Instance: instance, Outcome: NotRun, Reason: "the command was not sent"}
	}
	id, err := f.send(ctx, script, instances)
	if err != nil {
		return run, fmt.Errorf("send command: %w", err)
	}
	run.CommandID = id
	limit, stop := context.WithTimeoutCause(ctx, f.delivery+script.Timeout+grace, errNoAnswer)
	defer stop()
	err = f.follow(limit, &run, progress)
	switch {
	case ctx.Err() != nil:
		return run, errors.Join(err, f.cancel(ctx, id))
	case errors.Is(err, errNoAnswer):
		return run, nil
	}
	return run, err
}

func (f *Fleet) send(ctx context.Context, script Script, instances []Instance) (string, error) {
	lines, err := script.lines()
	if err != nil {
		return "", err
	}
	ids := make([]string, len(instances))
	for i, instance := range instances {
		ids[i] = instance.ID
	}
	sent, err := f.ssm.SendCommand(ctx, &ssm.SendCommandInput{
		DocumentName: aws.String(document),
		InstanceIds:  ids,
		Comment:      aws.String(script.Comment),
		// TimeoutSeconds bounds the delivery; the script's own time is a parameter of
		// the document.
		TimeoutSeconds: aws.Int32(int32(f.delivery / time.Second)),
		MaxConcurrency: aws.String("100%"),
		MaxErrors:      aws.String("100%"),
		Parameters: map[string][]string{
			"commands":         lines,
			"executionTimeout": {strconv.Itoa(int(script.Timeout / time.Second))},
		},
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(sent.Command.CommandId), nil
}

// cancel asks SSM to stop a command, also when ctx has ended already.
func (f *Fleet) cancel(ctx context.Context, id string) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if _, err := f.ssm.CancelCommand(ctx, &ssm.CancelCommandInput{CommandId: &id}); err != nil {
		return fmt.Errorf("cancel command %s: %w", id, err)
	}
	return nil
}
