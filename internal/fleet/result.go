package fleet

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// Outcome is what is known of a script on one instance.
type Outcome int

const (
	// Unknown: it may have run, wholly or in part.
	Unknown Outcome = iota
	// NotRun: it never started there.
	NotDelivered
	// Ran: it ran to its end, and the instance itself says what became of it.
	Completed
)

// Run is a script sent to instances, and what became of it on each, in their order.
type Run struct {
	CommandIDs []string // fifty instances each
	Results    []Result

	commands []*command
	logs     int // read so far
	progress Progress
	told     int // the commands, and the states, that progress knows of
	last     States
}

// Result is one instance's own.
type Result struct {
	Instance Instance
	Outcome  Outcome
	Status   string  // SSM's status details, as Success, Failed, AccessDenied, DeliveryTimedOut; NotSent: nothing was sent
	ExitCode int     // of the script
	Report   *Report // what the instance says; always there when Outcome is Ran
	Reason   string  // in words, why Outcome is not Ran
	Log      string  // the end of the instance's log, foreign text; empty when all went well
}

// judge decides what is known, from the instance's status and its report. Only a
// report counts as proof: a command can be Success without having done anything.
func (r *Result) judge(status types.CommandInvocationStatus, reportProblem error) {
	r.Outcome, r.Reason = Unknown, ""
	switch {
	case undelivered(r.Status):
		r.Outcome, r.Reason = NotDelivered, "SSM did not deliver the command: "+r.Status
	case r.Report != nil && (status == types.CommandInvocationStatusSuccess || status == types.CommandInvocationStatusFailed):
		r.Outcome = Completed
	case r.Report != nil:
		r.Reason = fmt.Sprintf("the command ended as %s", r.Status)
	default:
		r.Reason = fmt.Sprintf("the command ended as %s with exit code %d and %v", r.Status, r.ExitCode, reportProblem)
	}
}

// undelivered tells whether the status details say that a command never reached
// its instance. They come with and without spaces.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
func undelivered(details string) bool {
	switch strings.ReplaceAll(details, " ", "") {
	case "AccessDenied", "Undeliverable", "InvalidPlatform", "Terminated":
		return true
	}
	return false
}
