package localaws

import "context"

// Machine is what the agent of one instance runs scripts on.
type Machine interface {
	// Run executes script the way the SSM agent does and returns when it has
	// ended. When ctx is done, the process group is killed with SIGKILL.
	// env holds what the agent adds to the environment, as KEY=value.
	Run(ctx context.Context, script string, env []string) Exit
}

// Exit is the result of a script that ran on a Machine. The output is complete: the
// server truncates it as SSM does.
type Exit struct {
	Code   int // exit status; 128+n for signal n
	Stdout []byte
	Stderr []byte
}
