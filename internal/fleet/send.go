package fleet

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// documentName is AWS's own; it exists in every account and region.
const documentName = "AWS-RunShellScript"

// maxSends bounds how often a command is sent.
const maxSends = 6

var (
	errNotSent   = errors.New("not sent")
	errReplyLost = errors.New("the reply to an earlier attempt was lost")
)

// sendCommand gives c its id. SendCommand has no token against being repeated, so a command
// whose reply was lost may have been taken: it is sent again, since every instance
// carries a deployment out once, and from then on nobody can say that it was not sent.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
//
// A request under way when ctx ends is waited for a little: without its id the command
// could not be cancelled.
func (f *Fleet) sendCommand(ctx context.Context, in *ssm.SendCommandInput, c *sentCommand) error {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(f.timing.sendGrace, stop) })()
	policy := retry.NewStandard()
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return c.markDoubtful(fmt.Errorf("%w: %w", errNotSent, context.Cause(ctx)))
		}
		out, err := f.ssm.SendCommand(sending, in, func(o *ssm.Options) { o.Retryer = aws.NopRetryer{} })
		if err == nil {
			c.id, c.comment, c.requestedAt = aws.ToString(out.Command.CommandId), aws.ToString(in.Comment), aws.ToTime(out.Command.RequestedDateTime)
			return nil
		}
		c.replyLost = c.replyLost || !isRefused(err)
		if attempt == maxSends || !policy.IsErrorRetryable(err) {
			return c.markDoubtful(err)
		}
		_ = sleepJittered(ctx, f.timing.sendBackoff<<attempt)
	}
}

// isRefused reports whether a command was certainly not taken: never sent, or turned
// down by SSM. Any other error, such as a lost reply, leaves it open.
func isRefused(err error) bool {
	var answer interface {
		error
		HTTPStatusCode() int
	}
	if errors.Is(err, errReplyLost) {
		return false
	}
	return errors.Is(err, errNotSent) || errors.As(err, &answer) && answer.HTTPStatusCode()/100 == 4
}

// markDoubtful adds to an error that an earlier attempt may have been accepted.
func (c *sentCommand) markDoubtful(err error) error {
	if c.replyLost && isRefused(err) {
		return fmt.Errorf("%w: %w", errReplyLost, err)
	}
	return err
}

func (f *Fleet) commandInput(command Command, ids []string) *ssm.SendCommandInput {
	maxErrors := "100%"
	if command.StopOnFailure {
		maxErrors = "0"
	}
	return &ssm.SendCommandInput{
		DocumentName: aws.String(documentName),
		InstanceIds:  ids,
		Comment:      aws.String(command.Comment),
		// TimeoutSeconds bounds the delivery; the script's own time is a parameter of
		// the document.
		TimeoutSeconds: aws.Int32(int32(f.delivery / time.Second)),
		MaxConcurrency: aws.String("100%"),
		MaxErrors:      aws.String(maxErrors),
		Parameters: map[string][]string{
			"commands":         command.Lines,
			"executionTimeout": {strconv.Itoa(int(command.Timeout / time.Second))},
		},
	}
}
