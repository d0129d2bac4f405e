package fleet

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// Outcome is what is known of a command on one instance.
type Outcome int

const (
	// Unknown means that the command may have run, wholly or in part.
	Unknown Outcome = iota
	// NotDelivered means that it never started on the instance.
	NotDelivered
	// Completed means that it ran to its end.
	Completed
)

// Run is a command sent to instances, and its result on each, in their order.
type Run struct {
	CommandIDs []string // fifty instances each
	Results    []Result

	command          Command
	commands         []*sentCommand
	logsRead         int
	progress         Progress
	reportedCommands int
	reportedStates   States
}

// Result is the result of a command on one instance.
type Result struct {
	Instance Instance
	Outcome  Outcome
	Status   Status
	ExitCode int    // of the script
	Stdout   string // untrusted text, at most 24,000 characters
	Log      string // the end of its standard error, untrusted text; empty when all went well
	Reason   string // in words, why Outcome is not Completed
}

// Status is SSM's status details of a command on one instance, without spaces: Success,
// Failed, AccessDenied, DeliveryTimedOut; StatusNotSent when nothing was sent.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
type Status string

// The statuses that callers compare.
const (
	StatusNotSent      Status = "NotSent"
	StatusPending      Status = "Pending"
	StatusSuccess      Status = "Success"
	StatusAccessDenied Status = "AccessDenied"
)

// statusOf reads the details, which come with and without spaces; without any the status
// itself counts.
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

// IsOpen reports whether a command with this status may still be running, or may have run
// to its end without SSM knowing.
func (s Status) IsOpen() bool {
	switch s {
	case StatusNotSent, StatusPending, "InProgress", "Delayed", "DeliveryTimedOut", "ExecutionTimedOut", "Cancelling", "Cancelled":
		return true
	}
	return false
}

// decideOutcome decides what is known, from the instance's final status.
func (r *Result) decideOutcome(status types.CommandInvocationStatus) {
	r.Outcome, r.Reason = Unknown, ""
	switch {
	case r.Status.IsUndelivered():
		r.Outcome, r.Reason = NotDelivered, "SSM did not deliver the command: "+string(r.Status)
	case status == types.CommandInvocationStatusSuccess || status == types.CommandInvocationStatusFailed:
		r.Outcome = Completed
	default:
		r.Reason = "the command ended as " + string(r.Status)
	}
}
