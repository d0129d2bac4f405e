package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// maxSends limits how often a command is sent.
const maxSends = 6

var (
	errNotSent      = errors.New("not sent")
	errResponseLost = errors.New("the response to an earlier attempt was lost")
)

// sendCommand sends a command and sets the id of c. SendCommand has no idempotency token, so
// SSM may have accepted a command whose response was lost. It is sent again, since every
// instance runs a deployment only once, but it then no longer counts as certainly not sent.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
//
// When ctx ends during a request, sendCommand waits for the response for sendGrace, because
// without its id the command cannot be cancelled.
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
		c.responseLost = c.responseLost || !isRefused(err)
		if attempt == maxSends || !policy.IsErrorRetryable(err) {
			return c.markDoubtful(err)
		}
		_ = sleepJittered(ctx, f.timing.sendBackoff<<attempt)
	}
}

// isRefused reports whether a command was certainly not accepted: never sent, or rejected by
// SSM. After any other error, such as a lost response, it may have been.
func isRefused(err error) bool {
	var response interface {
		error
		HTTPStatusCode() int
	}
	if errors.Is(err, errResponseLost) {
		return false
	}
	return errors.Is(err, errNotSent) || errors.As(err, &response) && response.HTTPStatusCode()/100 == 4
}

// markDoubtful adds to an error that an earlier attempt may have been accepted.
func (c *sentCommand) markDoubtful(err error) error {
	if c.responseLost && isRefused(err) {
		return fmt.Errorf("%w: %w", errResponseLost, err)
	}
	return err
}

func (f *Fleet) commandInput(command Command, ids []string) *ssm.SendCommandInput {
	maxErrors := "100%"
	if command.StopOnFailure {
		maxErrors = "0"
	}
	parameters := map[string][]string{"executionTimeout": {strconv.Itoa(int(command.Timeout / time.Second))}}
	for name, value := range command.Parameters {
		parameters[name] = []string{value}
	}
	in := &ssm.SendCommandInput{
		DocumentName: aws.String(cmp.Or(command.Document.Name, RunShellScript)),
		InstanceIds:  ids,
		Comment:      aws.String(command.Comment),
		// TimeoutSeconds limits the delivery; the timeout of the script is a parameter of the document.
		TimeoutSeconds: aws.Int32(int32(f.delivery / time.Second)),
		MaxConcurrency: aws.String("100%"),
		MaxErrors:      aws.String(maxErrors),
		Parameters:     parameters,
	}
	if command.LogGroup != "" {
		in.CloudWatchOutputConfig = &types.CloudWatchOutputConfig{CloudWatchOutputEnabled: true, CloudWatchLogGroupName: &command.LogGroup}
	}
	if command.Document.Name == "" {
		parameters["commands"] = command.Lines
	} else {
		in.DocumentVersion = aws.String(command.Document.Version)
	}
	return in
}
