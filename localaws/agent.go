package localaws

import (
	"context"
	"fmt"
	"regexp"
	"time"
)

// Invocation is the delivery of one command to one instance.
type Invocation struct {
	CommandID  string
	InstanceID string
	Script     string // as the machine gets it
	Number     int    // 1 for the first command to this instance, 2 for the second
}

// DeliveryFault is a fault in a delivery. The zero value delivers as usual.
//
//	&localaws.DeliveryFault{Status: "DeliveryTimedOut", Runs: 1} // the script ran, but its result was lost
//	&localaws.DeliveryFault{Status: "InProgress"}                // the agent died, so the status never changes
type DeliveryFault struct {
	Delay       time.Duration // before the command reaches the instance; it is Pending until then
	Status      string        // StatusDetails to report instead of the agent's: "AccessDenied", "InProgress" forever, …
	Code        int           // response code to report with Status
	Stdout      string        // output to report with Status
	Stderr      string
	AgentError  string // what lists show instead of the output, when the agent itself failed
	Runs        int    // how often the machine runs the script; 0: once, or never with a Status
	StatusFirst bool   // with a Status: report it at once, and run the script after Delay
}

// Exit codes that have a meaning for the agent
// (https://docs.aws.amazon.com/systems-manager/latest/userguide/send-commands-reboot.html,
// https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/appconfig/constants_unix.go).
const (
	exitStopped = 137 // killed on cancel or timeout
	exitSucceed = 168
	exitSkip    = 169
	exitReboot  = 194
)

// maxReboots limits a script that requests a reboot every time.
const maxReboots = 5

// dispatch delivers c to its instances, at most MaxConcurrency at a time.
func (a *ssm) dispatch(c *command) {
	slots := make(chan struct{}, parseShare(c.in.MaxConcurrency, len(c.invocations), 1))
	for _, i := range c.invocations {
		select {
		case slots <- struct{}{}:
		case <-a.life.Done():
			return
		}
		if !a.isDeliverable(i) {
			i.cancel()
			<-slots
			continue
		}
		a.agents.Go(func() {
			defer func() { <-slots }()
			a.deliver(i)
		})
	}
}

// isDeliverable reports whether to deliver i: it is not cancelled, and the command has no
// more errors than MaxErrors allows.
func (a *ssm) isDeliverable(i *invocation) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, errors, _ := i.command.countInvocations()
	if errors > parseShare(i.command.in.MaxErrors, len(i.command.invocations), 0) && !i.hasEnded() {
		i.setStatus("Cancelled", "Terminated", a.options.Now())
	}
	return !i.hasEnded()
}

func (a *ssm) deliver(i *invocation) {
	defer i.cancel()
	script := i.command.in.scriptText()
	v := a.injectedFault(i, script)
	if v.StatusFirst {
		a.reportResult(i, v)
		if sleepContext(a.life, v.Delay) {
			a.runScript(a.life, i, script, max(v.Runs, 1))
		}
		return
	}
	delay := min(v.Delay, i.command.in.deliveryTimeout())
	if !sleepContext(i.life, delay) {
		return
	}
	if delay < v.Delay {
		v.Status = "DeliveryTimedOut"
	}
	if v.Status != "" {
		a.runScript(i.life, i, script, v.Runs)
		a.reportResult(i, v)
		if !a.hasEnded(i) {
			<-i.life.Done()
		}
		return
	}
	if a.markStarted(i) {
		a.reportResult(i, a.runScript(i.life, i, script, max(v.Runs, 1)))
	}
}

func (a *ssm) injectedFault(i *invocation, script string) DeliveryFault {
	number := a.fleet.countDelivery(i.instance.ID)
	if i.instance.PlatformType == "Windows" {
		return DeliveryFault{Status: "InvalidPlatform"}
	}
	if i.instance.InjectFault == nil {
		return DeliveryFault{}
	}
	v := i.instance.InjectFault(Invocation{CommandID: i.command.id, InstanceID: i.instance.ID, Script: script, Number: number})
	if v == nil {
		return DeliveryFault{}
	}
	return *v
}

// markStarted sets i to InProgress unless it was cancelled.
func (a *ssm) markStarted(i *invocation) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i.hasEnded() {
		return false
	}
	i.status, i.details, i.started = "InProgress", "InProgress", a.options.Now()
	return true
}

func (a *ssm) hasEnded(i *invocation) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return i.hasEnded()
}

// reportResult sets the result of i, unless it has ended.
func (a *ssm) reportResult(i *invocation, v DeliveryFault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !i.hasEnded() {
		i.setStatus(plainStatus(v.Status), v.Status, a.options.Now())
		i.code, i.stdout, i.stderr, i.agentError = v.Code, v.Stdout, v.Stderr, v.AgentError
	}
}

// plainStatus returns the Status for a StatusDetails.
func plainStatus(details string) string {
	switch details {
	case "DeliveryTimedOut", "ExecutionTimedOut":
		return "TimedOut"
	case "Undeliverable", "AccessDenied", "InvalidPlatform":
		return "Failed"
	case "Terminated":
		return "Cancelled"
	}
	return details
}

// parameterReference matches a reference that the agent resolves with the instance's role.
// No instance has one here, so the agent reports a failure without output.
var parameterReference = regexp.MustCompile(`\{\{\s*ssm:[^}]*\}\}`)

// runScript runs script on the machine as often as times, and returns the last result.
func (a *ssm) runScript(life context.Context, i *invocation, script string, times int) DeliveryFault {
	var last DeliveryFault
	if parameterReference.MatchString(script) {
		return DeliveryFault{Status: "Failed", Code: -1}
	}
	for range times {
		last = a.runOnce(life, i, script)
	}
	return last
}

func (a *ssm) runOnce(life context.Context, i *invocation, script string) DeliveryFault {
	ctx, stop := context.WithTimeout(life, i.command.in.executionTimeout())
	defer stop()
	var exit Exit
	for reboots := 0; i.instance.Machine != nil; reboots++ {
		exit = a.runWithLog(ctx, i, script, []string{
			"AWS_SSM_REGION_NAME=" + a.options.Region,
			"AWS_SSM_INSTANCE_ID=" + i.instance.ID,
			"SSM_COMMAND_ID=" + i.command.id,
		})
		if exit.Code != exitReboot || ctx.Err() != nil || reboots == maxReboots {
			break
		}
		a.fleet.countReboot(i.instance.ID)
	}
	return agentResult(ctx, life, exit)
}

// agentResult returns what the agent reports for an exit.
func agentResult(ctx, life context.Context, exit Exit) DeliveryFault {
	v := DeliveryFault{Code: exit.Code, Stdout: string(exit.Stdout), Stderr: string(exit.Stderr)}
	switch {
	case life.Err() != nil:
		v.Status, v.Code = "Cancelled", exitStopped
	case ctx.Err() != nil || exit.Code == exitStopped:
		v.Status, v.Code = "ExecutionTimedOut", exitStopped
	case exit.Code == 0 || exit.Code == exitSucceed || exit.Code == exitSkip:
		v.Status = "Success"
		return v
	default:
		v.Status = "Failed"
	}
	v.Stderr += fmt.Sprintf("failed to run commands: exit status %d", v.Code)
	return v
}
