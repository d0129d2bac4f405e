package localaws

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// pageSize checks MaxResults against its bounds; 50 is both the maximum and the default.
func pageSize(requested *int, minimum int) (int, error) {
	if requested == nil {
		return 50, nil
	}
	if *requested < minimum || *requested > 50 {
		return 0, invalidMember("maxResults", fmt.Sprintf("Member must have value between %d and 50", minimum))
	}
	return *requested, nil
}

// commandFilter is the Key and Value of CommandFilter, in lower case on the wire.
type commandFilter struct{ Key, Value string }

type listInput struct {
	CommandID  string
	InstanceID string
	Filters    []commandFilter
	Details    bool
	MaxResults *int
	NextToken  string
}

// passesFilters applies the filters to a command or invocation in the given state.
func (in listInput) passesFilters(c *command, status string) bool {
	for _, f := range in.Filters {
		when, _ := time.Parse(time.RFC3339, f.Value)
		switch {
		case f.Key == "Status" && f.Value != status,
			f.Key == "DocumentName" && f.Value != c.in.DocumentName,
			f.Key == "InvokedAfter" && !c.requested.After(when),
			f.Key == "InvokedBefore" && !c.requested.Before(when):
			return false
		}
	}
	return true
}

func (in listInput) validate() (size int, err error) {
	for _, f := range in.Filters {
		if !slices.Contains([]string{"Status", "DocumentName", "InvokedAfter", "InvokedBefore"}, f.Key) {
			return 0, &Error{Code: "InvalidFilterKey", Message: "The specified key isn't valid: " + f.Key}
		}
	}
	return pageSize(in.MaxResults, 1)
}

func (a *ssm) listCommands(in listInput) (any, error) {
	size, err := in.validate()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []*command
	for _, c := range a.commands {
		status, _ := c.parentStatus()
		if (in.CommandID == "" || in.CommandID == c.id) && (in.InstanceID == "" || c.findInvocation(in.InstanceID) != nil) && in.passesFilters(c, status) {
			found = append(found, c)
		}
	}
	items, next, err := cutPage(found, in.NextToken, size)
	list := []object{}
	for _, c := range items {
		list = append(list, c.describeCommand())
	}
	return object{"Commands": list, "NextToken": next}, err
}

func (a *ssm) listCommandInvocations(in listInput) (any, error) {
	size, err := in.validate()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []*invocation
	for _, c := range a.commands {
		if in.CommandID != "" && in.CommandID != c.id || !c.areInvocationsVisible() {
			continue
		}
		for _, i := range c.invocations {
			if (in.InstanceID == "" || in.InstanceID == i.instance.ID) && in.passesFilters(c, i.status) {
				found = append(found, i)
			}
		}
	}
	items, next, err := cutPage(found, in.NextToken, size)
	list := []object{}
	for _, i := range items {
		list = append(list, i.describeInvocation(in.Details))
	}
	return object{"CommandInvocations": list, "NextToken": next}, err
}

func (a *ssm) getCommandInvocation(in struct{ CommandID, InstanceID, PluginName string }) (any, error) {
	if len(in.CommandID) != 36 {
		return nil, invalidMember("commandId", "Member must have length 36")
	}
	if in.PluginName != "" && in.PluginName != plugin {
		return nil, &Error{Code: "InvalidPluginName", Message: "The plugin name isn't valid: " + in.PluginName}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.findCommand(in.CommandID)
	if !ok || !c.areInvocationsVisible() || c.findInvocation(in.InstanceID) == nil {
		return nil, &Error{Code: "InvocationDoesNotExist", Message: ""}
	}
	i := c.findInvocation(in.InstanceID)
	return object{
		"CommandId": c.id, "InstanceId": i.instance.ID, "Comment": c.in.Comment, "PluginName": plugin,
		"DocumentName": c.in.DocumentName, "DocumentVersion": cmp.Or(c.in.DocumentVersion, "$DEFAULT"),
		"Status": i.status, "StatusDetails": i.details, "ResponseCode": i.code,
		"ExecutionStartDateTime": isoTime(i.started), "ExecutionEndDateTime": isoTime(i.finished),
		"StandardOutputContent": truncateText(i.stdout, stdoutLimit), "StandardErrorContent": truncateText(i.stderr, stderrLimit),
		"StandardOutputUrl": "", "StandardErrorUrl": "",
	}, nil
}

const plugin = "aws:runShellScript"

func (c *command) findInvocation(instanceID string) *invocation {
	n := slices.IndexFunc(c.invocations, func(i *invocation) bool { return i.instance.ID == instanceID })
	if n < 0 {
		return nil
	}
	return c.invocations[n]
}

func (i *invocation) describeInvocation(details bool) object {
	out := object{
		"CommandId": i.command.id, "InstanceId": i.instance.ID, "InstanceName": i.instance.Name,
		"Comment": i.command.in.Comment, "DocumentName": i.command.in.DocumentName,
		"RequestedDateTime": unixSeconds(i.command.requested), "Status": i.status, "StatusDetails": i.details,
		"StandardOutputUrl": "", "StandardErrorUrl": "", "CommandPlugins": []object{},
	}
	if details {
		step := object{
			"Name": plugin, "Status": i.status, "StatusDetails": i.details, "ResponseCode": i.code,
			"Output": cmp.Or(i.agentError, summarizeOutput(i.stdout, i.stderr)), "StandardOutputUrl": "", "StandardErrorUrl": "",
		}
		if !i.started.IsZero() && !i.finished.IsZero() {
			step["ResponseStartDateTime"], step["ResponseFinishDateTime"] = unixSeconds(i.started), unixSeconds(i.finished)
		}
		out["CommandPlugins"] = []object{step}
	}
	return out
}

// isoTime returns the ISO 8601 text of GetCommandInvocation, or "" for the zero time.
func isoTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
