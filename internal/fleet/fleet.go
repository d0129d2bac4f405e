// Package fleet knows which instances there are and makes them run a script, with
// SSM Run Command. It tells the truth about each of them, one result an instance,
// and knows nothing of images and bundles.
package fleet

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"golang.org/x/time/rate"
)

type ssmAPI interface {
	DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
	SendCommand(context.Context, *ssm.SendCommandInput, ...func(*ssm.Options)) (*ssm.SendCommandOutput, error)
	ListCommands(context.Context, *ssm.ListCommandsInput, ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error)
	ListCommandInvocations(context.Context, *ssm.ListCommandInvocationsInput, ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error)
	GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error)
	CancelCommand(context.Context, *ssm.CancelCommandInput, ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error)
}

// MaxInstanceIDs is how many instance ids one SendCommand takes.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
const MaxInstanceIDs = 50

// Fleet reaches the instances of one account and region.
type Fleet struct {
	ssm      ssmAPI
	delivery time.Duration
	timing   timing
	limiter  *rate.Limiter // of the requests that follow commands
}

// timing is how commands are sent and followed.
type timing struct {
	firstPoll, slowestPoll time.Duration // between two looks at one command, longer each time
	slowestPollMany        time.Duration // between two looks at several
	maxListAge             time.Duration // a command of several is looked at in detail at least this often
	sendGrace              time.Duration // for a command on its way to SSM when the run ends
	sendBackoff            time.Duration // before a command is sent again, longer each time
	answerGrace            time.Duration // on top of a command's own time limits, before a silent instance is given up
}

// Following takes no more than two requests a second, whatever the number of instances;
// a few may come at once.
const (
	requestsPerSecond = 2
	requestBurst      = 4
)

// New returns a fleet. delivery, whole seconds and at least 30 s, bounds the time
// from sending a command to its start on an instance.
func New(api ssmAPI, delivery time.Duration) *Fleet {
	return &Fleet{ssm: api, delivery: delivery, limiter: rate.NewLimiter(requestsPerSecond, requestBurst), timing: timing{
		firstPoll: 250 * time.Millisecond, slowestPoll: 1200 * time.Millisecond, slowestPollMany: 5 * time.Second, maxListAge: 2 * time.Minute,
		sendGrace: 2 * time.Second, sendBackoff: 500 * time.Millisecond, answerGrace: 30 * time.Second,
	}}
}

// Instance is one managed instance.
type Instance struct {
	ID   string
	Name string // the host's own name; may be empty
}

// String names the instance for a log line.
func (i Instance) String() string {
	if i.Name == "" {
		return i.ID
	}
	return i.ID + " (" + i.Name + ")"
}
