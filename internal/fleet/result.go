package fleet

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// Outcome is what is known about a command on one instance.
type Outcome int

const (
	// Unknown means that the command may have run, completely or partly.
	Unknown Outcome = iota
	// NotDelivered means that the command never started on the instance.
	NotDelivered
	// Completed means that the command ran to its end.
	Completed
)

// Run is a command sent to instances, and the result on each, in the order of the instances.
type Run struct {
	CommandIDs []string // up to fifty instances each
	Results    []Result
	Denied     error // why only the beginning of an output was read; nil: all that was wanted was read

	command          Command
	commands         []*sentCommand
	logsRead         int
	progress         Progress
	reportedCommands int
	reportedStates   States
	ended            []Result // not reported yet
}

// Result is the result of a command on one instance.
type Result struct {
	Instance Instance
	Outcome  Outcome
	Status   Status
	ExitCode int    // of the script
	Stdout   string // untrusted text, at most 24,000 characters
	Stderr   string // untrusted text, at most 8,000 characters; empty if Stdout is from a list
	Reason   string // why Outcome is not Completed

	CommandID   string    // empty: none was sent to the instance
	Sent, Ended time.Time // when the command was sent, and seen to have ended, by this machine's clock; zero: not yet
}

// Status is SSM's status details of a command on one instance, without spaces: Success,
// Failed, AccessDenied, DeliveryTimedOut; StatusNotSent if the command was not sent.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
type Status string

// The statuses that callers compare.
const (
	StatusNotSent      Status = "NotSent"
	StatusPending      Status = "Pending"
	StatusSuccess      Status = "Success"
	StatusAccessDenied Status = "AccessDenied"

	// StatusDeliveryTimedOut means that the agent did not fetch the command in time.
	StatusDeliveryTimedOut Status = "DeliveryTimedOut"
	// StatusExecutionTimedOut means that the agent killed the script when its time was over.
	StatusExecutionTimedOut Status = "ExecutionTimedOut"
)

// statusOf returns the status details, which SSM writes with or without spaces, or else the status.
func statusOf(i types.CommandInvocation) Status {
	if i.StatusDetails != nil && *i.StatusDetails != "" {
		return Status(strings.ReplaceAll(*i.StatusDetails, " ", ""))
	}
	return Status(i.Status)
}

// IsUndelivered reports whether a command with this status never reached its instance.
func (s Status) IsUndelivered() bool {
	switch s {
	case StatusAccessDenied, "Undeliverable", "InvalidPlatform", "Terminated":
		return true
	}
	return false
}

// IsOpen reports whether a command with this status may still run, or may have completed without SSM's knowledge.
func (s Status) IsOpen() bool {
	switch s {
	case StatusNotSent, StatusPending, "InProgress", "Delayed", StatusDeliveryTimedOut, StatusExecutionTimedOut, "Cancelling", "Cancelled":
		return true
	}
	return false
}

// decideOutcome sets the outcome from the instance's final status.
func (r *Result) decideOutcome(status types.CommandInvocationStatus) {
	r.Outcome, r.Reason = Unknown, ""
	switch {
	case r.Status.IsUndelivered():
		r.Outcome, r.Reason = NotDelivered, "SSM did not deliver the command: "+string(r.Status)
	case status == types.CommandInvocationStatusSuccess || status == types.CommandInvocationStatusFailed:
		r.Outcome = Completed
	case r.Status == StatusDeliveryTimedOut:
		r.Reason = "the command ended as " + string(r.Status) + ": is the SSM agent running? SSM lists one that is gone as online for some minutes"
	default:
		r.Reason = "the command ended as " + string(r.Status)
	}
}
