package localaws

import "context"

// Machine runs the scripts of one instance's agent.
type Machine interface {
	// Run runs script as the SSM agent does and returns when it has ended. When ctx is
	// done, it kills the process group with SIGKILL. env contains the variables that the
	// agent adds to the environment, as KEY=value.
	Run(ctx context.Context, script string, env []string) Exit
}

// Exit is the result of a script that ran on a Machine. The output is complete: the
// server truncates it as SSM does.
type Exit struct {
	Code   int // exit status; 128+n for signal n
	Stdout []byte
	Stderr []byte
}
