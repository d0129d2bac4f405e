package fleet

import "time"

// Command is a script to run on instances.
type Command struct {
	Lines         []string          // of the script, without a Document
	Document      Document          // whose script runs; zero: AWS-RunShellScript
	Parameters    map[string]string // of the Document
	Comment       string            // shown in the SSM console; at most 100 characters
	Timeout       time.Duration     // for the script on an instance, whole seconds
	StopOnFailure bool              // after a failure on one instance, SSM does not start it on others
	LogGroup      string            // of CloudWatch Logs, to which the agents upload the output while the script runs; empty: none
	WantsLog      bool              // after a success as well, the whole output is read, of the first instances

	// IsAnswer reports whether an output is complete. SSM's lists contain its first 2,500
	// characters; if these are incomplete, the first 24,000 are read. nil: always complete.
	IsAnswer func(stdout string) bool
}

func (c Command) isAnswer(stdout string) bool { return c.IsAnswer == nil || c.IsAnswer(stdout) }
