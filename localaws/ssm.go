package localaws

import (
	"context"
	"maps"
	"sync"
)

// ssm is Run Command: send.go accepts commands, agent.go runs them, status.go reports their
// states. document.go has the documents of the account, parameter.go its Parameter Store.
type ssm struct {
	jsonService
	options    Options
	fleet      *fleet
	documents  documents
	parameters parameterStore
	logs       *logs
	roles      *roles
	journal    *journal
	life       context.Context // the server's lifetime: agents outlive the request that sent their command
	agents     sync.WaitGroup

	mu       sync.Mutex // guards every command and invocation
	commands []*command // newest first
	closed   bool
}

func newSSM(life context.Context, o Options, keys *keyring, logs *logs) *ssm {
	a := &ssm{options: o, fleet: newFleet(), logs: logs, documents: documents{list: map[string]*document{}}, parameters: newParameterStore(o), life: life}
	a.jsonService = jsonService{id: "ssm", keys: keys, permission: a.permissionsOf, operations: map[string]operation{
		"SendCommand":                 a.sendCommand,
		"CancelCommand":               decodeInput(a.cancelCommand),
		"ListCommands":                decodeInput(a.listCommands),
		"ListCommandInvocations":      decodeInput(a.listCommandInvocations),
		"GetCommandInvocation":        decodeInput(a.getCommandInvocation),
		"DescribeInstanceInformation": decodeInput(a.describeInstanceInformation),
		"GetParametersByPath":         decodeInput(a.parameters.getParametersByPath),
	}}
	maps.Copy(a.operations, a.documents.operations())
	return a
}

// stopAgents refuses further commands and waits for the agents, whose context has ended.
func (a *ssm) stopAgents() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.agents.Wait()
}
