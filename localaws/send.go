package localaws

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"
)

// sendInput is the body of
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html.
type sendInput struct {
	DocumentName    string
	DocumentVersion string
	Parameters      map[string][]string
	InstanceIDs     []string
	Targets         []criterion
	Comment         string
	TimeoutSeconds  *int
	MaxConcurrency  string
	MaxErrors       string

	CloudWatchOutputConfig outputConfig

	document *documentVersion // nil: AWS-RunShellScript
}

var (
	concurrencyPattern = regexp.MustCompile(`^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$`)
	errorsPattern      = regexp.MustCompile(`^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$`)
)

func (in *sendInput) validate() error {
	in.MaxConcurrency, in.MaxErrors = cmp.Or(in.MaxConcurrency, "50"), cmp.Or(in.MaxErrors, "0")
	if in.TimeoutSeconds == nil {
		in.TimeoutSeconds = new(int)
		*in.TimeoutSeconds = 3600
	}
	switch {
	case len(in.InstanceIDs) > 50:
		return invalidMember("instanceIds", "Member must have length less than or equal to 50")
	case len(in.InstanceIDs) > 0 && len(in.Targets) > 0, len(in.InstanceIDs) == 0 && len(in.Targets) == 0:
		return &Error{Code: "ValidationException", Message: "Either instanceIds or targets must be given, and not both"}
	case len(in.Targets) > 5:
		return invalidMember("targets", "Member must have length less than or equal to 5")
	case slices.ContainsFunc(in.Targets, func(t criterion) bool { return len(t.Values) > 50 }):
		return invalidMember("targets.member.values", "Member must have length less than or equal to 50")
	case len([]rune(in.Comment)) > 100:
		return invalidMember("comment", "Member must have length less than or equal to 100")
	case *in.TimeoutSeconds < 30 || *in.TimeoutSeconds > 2592000:
		return invalidMember("timeoutSeconds", "Member must have value between 30 and 2592000")
	case !concurrencyPattern.MatchString(in.MaxConcurrency):
		return invalidMember("maxConcurrency", "Member must satisfy regular expression pattern: "+concurrencyPattern.String())
	case !errorsPattern.MatchString(in.MaxErrors):
		return invalidMember("maxErrors", "Member must satisfy regular expression pattern: "+errorsPattern.String())
	}
	if err := in.CloudWatchOutputConfig.validate(); err != nil {
		return err
	}
	if in.document != nil {
		return in.document.checkParameters(in.Parameters)
	}
	for name, values := range in.Parameters {
		if name != "commands" && (len(values) != 1 || name != "workingDirectory" && name != "executionTimeout") {
			return &Error{Code: "InvalidParameters", Message: "Parameter is not valid for the document: " + name}
		}
	}
	if len(in.Parameters["commands"]) == 0 {
		return &Error{Code: "InvalidParameters", Message: "Parameter commands is required"}
	}
	return nil
}

func invalidMember(member, constraint string) error {
	return &Error{Code: "ValidationException", Message: fmt.Sprintf(
		"1 validation error detected: Value at '%s' failed to satisfy constraint: %s", member, constraint)}
}

// selectInstances returns the instances to send a command to. An id of an instance that is
// not managed and online fails the whole send; a target skips such instances.
func (a *ssm) selectInstances(in sendInput) ([]Instance, error) {
	if len(in.Targets) > 0 {
		for _, target := range in.Targets {
			if _, known := target.matches(Instance{}); !known {
				return nil, &Error{Code: "InvalidTarget", Message: "The target isn't valid: " + target.Key}
			}
		}
		return a.fleet.selectInstances(func(i Instance) bool {
			return i.PingStatus == "Online" &&
				!slices.ContainsFunc(in.Targets, func(t criterion) bool { ok, _ := t.matches(i); return !ok })
		}), nil
	}
	found := a.fleet.selectInstances(func(i Instance) bool { return i.PingStatus == "Online" && slices.Contains(in.InstanceIDs, i.ID) })
	seen := map[string]bool{}
	for _, id := range in.InstanceIDs {
		switch {
		case seen[id]:
			return nil, &Error{Code: "DuplicateInstanceId", Message: "You can't specify a managed node ID in more than one time: " + id}
		case !slices.ContainsFunc(found, func(i Instance) bool { return i.ID == id }):
			return nil, &Error{Code: "InvalidInstanceId", Message: fmt.Sprintf("Instances [[%s]] not in a valid state for account %s", id, a.options.Account)}
		}
		seen[id] = true
	}
	for _, i := range found {
		if i.PlatformType == "Windows" {
			return nil, &Error{Code: "UnsupportedPlatformType", Message: "The document doesn't support the platform of " + i.ID}
		}
	}
	return found, nil
}

// minLatency is how long a command takes to be accepted. If the response arrives while
// net/http's client is still writing the request body, the client closes the connection and
// the SDK sends the command again: https://go.dev/src/net/http/transfer.go
const minLatency = 25 * time.Millisecond

func (a *ssm) sendCommand(r *request) (any, error) {
	time.Sleep(minLatency)
	in, err := decodeJSON[sendInput](r.body)
	if err != nil {
		return nil, err
	}
	err = a.documents.setDocument(&in)
	if err == nil {
		err = in.validate()
	}
	if err != nil {
		return nil, err
	}
	instances, err := a.selectInstances(in)
	if err != nil {
		return nil, err
	}
	c := &command{
		id: newUUID(), in: in, requested: a.options.Now(), visibleFrom: time.Now().Add(a.options.InvocationDelay),
	}
	for _, instance := range instances {
		i := &invocation{command: c, instance: instance, status: "Pending", details: "Pending", code: -1}
		i.life, i.cancel = context.WithCancel(a.life)
		c.invocations = append(c.invocations, i)
		// An instance that the sender may not send to fails the call if it is named, and otherwise only its invocation:
		// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
		if len(in.Targets) > 0 && r.authorize(a.permissionToSend(instance.ID)) != nil {
			i.setStatus("Failed", "AccessDenied", a.options.Now())
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, &Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "the server is closing"}
	}
	a.commands = append([]*command{c}, a.commands...)
	a.agents.Go(func() { a.dispatch(c) })
	return object{"Command": c.describeCommand()}, nil
}

func (a *ssm) cancelCommand(in struct {
	CommandID   string
	InstanceIDs []string
}) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.findCommand(in.CommandID)
	if !ok {
		return nil, &Error{Code: "InvalidCommandId", Message: "The specified command ID isn't valid: " + in.CommandID}
	}
	for _, i := range c.invocations {
		if i.hasEnded() || len(in.InstanceIDs) > 0 && !slices.Contains(in.InstanceIDs, i.instance.ID) {
			continue
		}
		if i.status == "Pending" {
			i.setStatus("Cancelled", "Cancelled", a.options.Now())
		} else {
			i.status, i.details = "Cancelling", "Cancelling"
		}
		i.cancel()
	}
	return object{}, nil
}

// findCommand is called with a.mu held.
func (a *ssm) findCommand(id string) (*command, bool) {
	n := slices.IndexFunc(a.commands, func(c *command) bool { return c.id == id })
	if n < 0 {
		return nil, false
	}
	return a.commands[n], true
}

func newUUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
