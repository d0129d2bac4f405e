// Package fleet finds managed instances and runs a script on them with SSM Run Command,
// with one result for each instance. It does not know images and bundles.
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
	GetDocument(context.Context, *ssm.GetDocumentInput, ...func(*ssm.Options)) (*ssm.GetDocumentOutput, error)
}

// MaxInstanceIDs is how many instance ids one SendCommand accepts.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
const MaxInstanceIDs = 50

// Fleet accesses the instances of one account and region.
type Fleet struct {
	ssm      ssmAPI
	delivery time.Duration
	timing   timing
	limiter  *rate.Limiter // for the requests that follow commands
}

// timing configures how commands are sent and followed.
type timing struct {
	firstPoll, slowestPoll time.Duration // between two polls of one command; the delay grows from the first to the slowest
	slowestPollMany        time.Duration // between two polls of several commands
	maxListAge             time.Duration // with several commands, each is listed at least this often
	sendGrace              time.Duration // for a SendCommand request in flight when the run ends
	sendBackoff            time.Duration // before a command is sent again, doubled each time
	answerGrace            time.Duration // added to a command's timeouts before an instance without an answer becomes Unknown
}

// Following makes at most two requests a second, with small bursts, however many instances there are.
const (
	requestsPerSecond = 2
	requestBurst      = 4
)

// New returns a fleet. delivery, whole seconds and at least 30 s, limits the time
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
	Name string // host name; may be empty
}

// String returns the id and the name for a log line.
func (i Instance) String() string {
	if i.Name == "" {
		return i.ID
	}
	return i.ID + " (" + i.Name + ")"
}
