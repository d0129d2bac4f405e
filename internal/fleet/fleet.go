// Package fleet knows which instances there are and makes them run a script, with
// SSM Run Command. It tells the truth about each of them, one result an instance,
// and knows nothing of images and bundles.
package fleet

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

type ssmAPI interface {
	DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
	SendCommand(context.Context, *ssm.SendCommandInput, ...func(*ssm.Options)) (*ssm.SendCommandOutput, error)
	ListCommandInvocations(context.Context, *ssm.ListCommandInvocationsInput, ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error)
	GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error)
	CancelCommand(context.Context, *ssm.CancelCommandInput, ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error)
}

// MaxTargets is how many instance ids one SendCommand takes.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
const MaxTargets = 50

// Fleet reaches the instances of one account and region.
type Fleet struct {
	ssm      ssmAPI
	delivery time.Duration
	pace     pace
}

// pace is how a command is followed.
type pace struct {
	first, last time.Duration // between two looks, longer each time
	reply       time.Duration // for a command on its way to SSM when the run ends
	grace       time.Duration // on top of a command's own time limits, before a silent instance is given up
}

// New returns a fleet. delivery, whole seconds and at least 30 s, bounds the time
// from sending a command to its start on an instance.
func New(api ssmAPI, delivery time.Duration) *Fleet {
	return &Fleet{ssm: api, delivery: delivery, pace: pace{
		first: 250 * time.Millisecond, last: 1500 * time.Millisecond, reply: 2 * time.Second, grace: 30 * time.Second,
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
