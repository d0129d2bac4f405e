package localaws

import (
	"context"
	"io"
)

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

// LiveMachine is a Machine that shows the output of a script while it runs.
type LiveMachine interface {
	// RunLive is Run, and also writes the output to stdout and stderr as it appears.
	RunLive(ctx context.Context, script string, env []string, stdout, stderr io.Writer) Exit
}

// runLive runs script on m. The output of one that is not live appears at the end.
func runLive(ctx context.Context, m Machine, script string, env []string, stdout, stderr io.Writer) Exit {
	if live, ok := m.(LiveMachine); ok {
		return live.RunLive(ctx, script, env, stdout, stderr)
	}
	exit := m.Run(ctx, script, env)
	_, _ = stdout.Write(exit.Stdout)
	_, _ = stderr.Write(exit.Stderr)
	return exit
}
