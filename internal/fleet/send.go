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

// Progress is told the command's id as soon as there is one, and again with the
// states of its instances whenever these have changed.
type Progress func(command string, states States)

// Run sends script to every instance in one command and returns when each has a
// result of its own.
//
// The error is about the command as a whole: it could not be sent or followed, or
// ctx ended, in which case it is cancelled first. The results are complete in every
// case: an instance without an answer is Unknown, or NotRun when nothing was sent.
func (f *Fleet) Run(ctx context.Context, script Script, instances []Instance, progress Progress) (Run, error) {
	run := Run{Results: make([]Result, len(instances))}
	for i, instance := range instances {
		run.Results[i] = Result{Instance: instance, Outcome: NotRun, Reason: "the command was not sent"}
	}
	in, err := f.command(script, instances)
	if err != nil {
		return run, fmt.Errorf("write command: %w", err)
	}
	sent, err := f.send(ctx, in)
	if err != nil {
		if !refused(err) {
			for i := range run.Results {
				run.Results[i].Outcome, run.Results[i].Reason = Unknown, "nobody knows whether the command was sent"
			}
		}
		return run, fmt.Errorf("send command: %w", err)
	}
	run.CommandID = aws.ToString(sent.Command.CommandId)
	limit, stop := context.WithTimeoutCause(ctx, f.delivery+script.Timeout+f.pace.grace, errNoAnswer)
	defer stop()
	err = f.follow(limit, &run, progress)
	switch {
	case err == nil || errors.Is(err, errNoAnswer):
		return run, nil
	case ctx.Err() != nil:
		return run, errors.Join(err, f.cancel(ctx, run.CommandID))
	}
	return run, err
}

// send waits a little for the reply to a request under way when ctx ends: without
// its id the command could not be cancelled.
func (f *Fleet) send(ctx context.Context, in *ssm.SendCommandInput) (*ssm.SendCommandOutput, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, context.Cause(ctx))
	}
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(f.pace.reply, stop) })()
	return f.ssm.SendCommand(sending, in)
}

var errNotSent = errors.New("not sent")

// refused tells whether a command was certainly not taken: never sent, or turned
// down by SSM. Any other error, such as a lost reply, leaves it open.
func refused(err error) bool {
	var answer interface {
		error
		HTTPStatusCode() int
	}
	return errors.Is(err, errNotSent) || errors.As(err, &answer) && answer.HTTPStatusCode()/100 == 4
}

func (f *Fleet) command(script Script, instances []Instance) (*ssm.SendCommandInput, error) {
	lines, err := script.lines()
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(instances))
	for i, instance := range instances {
		ids[i] = instance.ID
	}
	return &ssm.SendCommandInput{
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
	}, nil
}

// cancel asks SSM to stop a command, also when ctx has ended already.
func (f *Fleet) cancel(ctx context.Context, id string) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer stop()
	if _, err := f.ssm.CancelCommand(ctx, &ssm.CancelCommandInput{CommandId: &id}); err != nil {
		return fmt.Errorf("cancel command %s: %w", id, err)
	}
	return nil
}
