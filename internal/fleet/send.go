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

// document is AWS's own; it exists in every account and region.
const document = "AWS-RunShellScript"

// maxSends is how often a command is sent at most.
const maxSends = 6

var (
	errNotSent   = errors.New("not sent")
	errUnheardOf = errors.New("the reply to an attempt before was lost")
)

// send gives c its id. SendCommand has no token against being repeated, so a command
// whose reply was lost may have been taken: it is sent again, since every instance
// carries a deployment out once, and from then on nobody can say that it was not sent.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
//
// A request under way when ctx ends is waited for a little: without its id the command
// could not be cancelled.
func (f *Fleet) send(ctx context.Context, in *ssm.SendCommandInput, c *command) error {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(f.pace.reply, stop) })()
	policy := retry.NewStandard()
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return c.doubt(fmt.Errorf("%w: %w", errNotSent, context.Cause(ctx)))
		}
		out, err := f.ssm.SendCommand(sending, in, func(o *ssm.Options) { o.Retryer = aws.NopRetryer{} })
		if err == nil {
			c.id, c.comment, c.requested = aws.ToString(out.Command.CommandId), aws.ToString(in.Comment), aws.ToTime(out.Command.RequestedDateTime)
			return nil
		}
		c.unheard = c.unheard || !refused(err)
		if attempt == maxSends || !policy.IsErrorRetryable(err) {
			return c.doubt(err)
		}
		_ = pause(ctx, f.pace.again<<attempt)
	}
}

// refused tells whether a command was certainly not taken: never sent, or turned
// down by SSM. Any other error, such as a lost reply, leaves it open.
func refused(err error) bool {
	var answer interface {
		error
		HTTPStatusCode() int
	}
	if errors.Is(err, errUnheardOf) {
		return false
	}
	return errors.Is(err, errNotSent) || errors.As(err, &answer) && answer.HTTPStatusCode()/100 == 4
}

// doubt adds to an error that an attempt before may have been taken.
func (c *command) doubt(err error) error {
	if c.unheard && refused(err) {
		return fmt.Errorf("%w: %w", errUnheardOf, err)
	}
	return err
}

func (f *Fleet) input(script Script, ids []string) (*ssm.SendCommandInput, error) {
	lines, err := script.lines()
	if err != nil {
		return nil, err
	}
	maxErrors := "100%"
	if script.StopOnFailure {
		maxErrors = "0"
	}
	return &ssm.SendCommandInput{
		DocumentName: aws.String(document),
		InstanceIds:  ids,
		Comment:      aws.String(script.Comment),
		// TimeoutSeconds bounds the delivery; the script's own time is a parameter of
		// the document.
		TimeoutSeconds: aws.Int32(int32(f.delivery / time.Second)),
		MaxConcurrency: aws.String("100%"),
		MaxErrors:      aws.String(maxErrors),
		Parameters: map[string][]string{
			"commands":         lines,
			"executionTimeout": {strconv.Itoa(int(script.Timeout / time.Second))},
		},
	}, nil
}
