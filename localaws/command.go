package localaws

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// command is one SendCommand and its invocations, one for each instance.
type command struct {
	id          string
	in          sendInput
	requested   time.Time
	visibleFrom time.Time // real time from which on the API lists invocations
	invocations []*invocation
}

type invocation struct {
	command  *command
	instance Instance
	life     context.Context // ends when the invocation is cancelled
	cancel   context.CancelFunc

	status, details   string
	started, finished time.Time
	code              int
	stdout, stderr    string
	agentError        string
}

// setStatus sets a status, which need not be final.
func (i *invocation) setStatus(status, details string, now time.Time) {
	i.status, i.details = status, details
	if i.hasEnded() {
		i.finished = now
	}
}

func (i *invocation) hasEnded() bool {
	switch i.status {
	case "Pending", "InProgress", "Delayed", "Cancelling":
		return false
	}
	return true
}

// areInvocationsVisible reports whether the API, which is eventually consistent, lists invocations.
func (c *command) areInvocationsVisible() bool { return !time.Now().Before(c.visibleFrom) }

// countInvocations returns the command's counters. Undeliverable invocations are completed,
// but not errors
// (https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html).
func (c *command) countInvocations() (completed, errors, undelivered int) {
	for _, i := range c.invocations {
		if i.hasEnded() {
			completed++
		}
		switch i.details {
		case "Failed", "ExecutionTimedOut":
			errors++
		case "DeliveryTimedOut":
			undelivered++
		}
	}
	return completed, errors, undelivered
}

// parentStatus returns the status of the command as a whole. It follows from the counters,
// so that one Success and four Undeliverable are a Success.
func (c *command) parentStatus() (status, details string) {
	completed, errors, undelivered := c.countInvocations()
	have := map[string]bool{}
	for _, i := range c.invocations {
		have[i.details] = true
	}
	switch {
	case len(c.invocations) == 0:
		return "Success", "NoInstancesInTag"
	case have["Cancelling"]:
		return "Cancelling", "Cancelling"
	case completed == 0 && !have["InProgress"] && !have["Delayed"]:
		return "Pending", "Pending"
	case completed < len(c.invocations):
		return "InProgress", "InProgress"
	case have["Cancelled"]:
		return "Cancelled", "Cancelled"
	case errors > 0:
		return "Failed", "Failed"
	case undelivered > 0:
		return "TimedOut", "DeliveryTimedOut"
	}
	return "Success", "Success"
}

// describeCommand is called with the lock of commands held.
func (c *command) describeCommand() object {
	status, details := c.parentStatus()
	completed, errors, undelivered := c.countInvocations()
	count := len(c.invocations)
	if len(c.in.Targets) > 0 && !c.areInvocationsVisible() { // targets are resolved after the response
		status, details, count = "Pending", "Pending", 0
	}
	ids := c.in.InstanceIDs
	if ids == nil {
		ids = []string{}
	}
	targets := c.in.Targets
	if targets == nil {
		targets = []criterion{}
	}
	return object{
		"CommandId": c.id, "DocumentName": c.in.DocumentName, "DocumentVersion": cmp.Or(c.in.DocumentVersion, "$DEFAULT"),
		"Comment": c.in.Comment, "Parameters": c.in.Parameters, "InstanceIds": ids, "Targets": targets,
		"TimeoutSeconds": *c.in.TimeoutSeconds, "MaxConcurrency": c.in.MaxConcurrency, "MaxErrors": c.in.MaxErrors,
		"RequestedDateTime": unixSeconds(c.requested), "ExpiresAfter": unixSeconds(c.requested.Add(c.in.deliveryTimeout() + c.in.executionTimeout())),
		"Status": status, "StatusDetails": details,
		"TargetCount": count, "CompletedCount": completed, "ErrorCount": errors, "DeliveryTimedOutCount": undelivered,
	}
}

func (in sendInput) deliveryTimeout() time.Duration {
	return time.Duration(*in.TimeoutSeconds) * time.Second
}

// executionTimeout is 3600 seconds if the parameter is missing or invalid.
func (in sendInput) executionTimeout() time.Duration {
	text := in.joinParameter("executionTimeout")
	if in.document != nil {
		text = in.document.resolve(in.document.MainSteps[0].Inputs.TimeoutSeconds, in.Parameters)
	}
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 1 || seconds > 172800 {
		seconds = 3600
	}
	return time.Duration(seconds) * time.Second
}

func (in sendInput) joinParameter(name string) string {
	return strings.Join(in.Parameters[name], "\n")
}

// scriptText returns the script that the agent writes to a file: the commands, one per
// line, with references to other parameters of the document replaced.
func (in sendInput) scriptText() string {
	if in.document != nil {
		return in.document.resolve(strings.Join(in.document.MainSteps[0].Inputs.RunCommand, "\n")+"\n", in.Parameters)
	}
	text := in.joinParameter("commands") + "\n"
	for _, name := range []string{"workingDirectory", "executionTimeout"} {
		for _, reference := range []string{"{{ " + name + " }}", "{{" + name + "}}"} {
			text = strings.ReplaceAll(text, reference, in.joinParameter(name))
		}
	}
	directory := in.joinParameter("workingDirectory")
	if directory == "" {
		return text
	}
	change := "cd -- '" + strings.ReplaceAll(directory, "'", `'\''`) + "' || exit\n"
	if first, rest, ok := strings.Cut(text, "\n"); ok && strings.HasPrefix(first, "#!") {
		return first + "\n" + change + rest
	}
	return change + text
}

// parseShare parses "10", or "10%" of total, and returns at least minimum.
func parseShare(text string, total, minimum int) int {
	var n int
	_, _ = fmt.Sscan(strings.TrimSuffix(text, "%"), &n)
	if strings.HasSuffix(text, "%") {
		n = n * total / 100
	}
	return max(n, minimum)
}
