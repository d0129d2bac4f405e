package localaws

import (
	"bytes"
	"cmp"
	"context"
	"strings"
	"sync"
	"time"
)

// outputConfig is where a command's output goes.
type outputConfig struct {
	CloudWatchLogGroupName  string
	CloudWatchOutputEnabled bool
}

func (c outputConfig) validate() error {
	if name := c.CloudWatchLogGroupName; name != "" && !groupPattern.MatchString(name) {
		return invalidMember("cloudWatchOutputConfig.cloudWatchLogGroupName", "Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+")
	}
	return nil
}

// logGroup returns the log group of a command's output; empty: none.
func (in sendInput) logGroup() string {
	if !in.CloudWatchOutputConfig.CloudWatchOutputEnabled {
		return ""
	}
	return cmp.Or(in.CloudWatchOutputConfig.CloudWatchLogGroupName, "/aws/ssm/"+in.DocumentName)
}

// uploadInterval is how often the agent uploads what a script has printed.
// https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/agentlogstocloudwatch/cloudwatchlogspublisher/cloudwatchlogsservice.go
const uploadInterval = time.Second

// logStream uploads one of the two outputs of a script: at every interval, the new whole lines as one event.
type logStream struct {
	logs        *logs
	group, name string

	mu      sync.Mutex
	pending []byte
}

// Write takes a piece of the output.
func (s *logStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, p...)
	return len(p), nil
}

// upload stores the pending lines; the last one need not be whole when the script has ended.
func (s *logStream) upload(ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := bytes.LastIndexByte(s.pending, '\n') + 1
	if ended {
		n = len(s.pending)
	}
	if n == 0 {
		return
	}
	message := string(s.pending[:n])
	if ended {
		message = strings.TrimSuffix(message, "\n")
	}
	s.logs.putEvent(s.group, s.name, message)
	s.pending = s.pending[n:]
}

// mayWriteLog reports whether the role of an instance allows its agent to write to a log group, and records the agent's
// calls: https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/agentlogstocloudwatch/cloudwatchlogspublisher/cloudwatchlogsservice.go
func (a *ssm) mayWriteLog(i Instance, group string) bool {
	agent := principal{role: i.Role, arn: "arn:" + a.options.Partition + ":sts::" + a.options.Account + ":assumed-role/" + i.Role + "/" + i.ID}
	allowed := true
	for _, operation := range []string{"CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents"} {
		if i.Role == "" {
			break
		}
		r := &request{roles: a.roles, principal: agent}
		err := r.authorize(permissionOf{action: "logs:" + operation, resource: a.arn("logs") + "log-group:" + group + ":log-stream:"})
		call := a.journal.begin(Call{Operation: "logs:" + operation, Resource: group, Time: a.options.Now()})
		a.journal.end(call, r, 0)
		allowed = allowed && err == nil
	}
	return allowed
}

// runWithLog runs a script on the machine of i. With a log group, the output is uploaded in the meantime, completely before
// the result is known. An agent that may not write there runs the script without.
func (a *ssm) runWithLog(ctx context.Context, i *invocation, script string, env []string) Exit {
	group := i.command.in.logGroup()
	if group == "" || !a.mayWriteLog(i.instance, group) || !a.logs.createGroup(group) {
		return i.instance.Machine.Run(ctx, script, env)
	}
	prefix := i.command.id + "/" + i.instance.ID + "/" + strings.ReplaceAll(plugin, ":", "-") + "/"
	stdout, stderr := &logStream{logs: a.logs, group: group, name: prefix + "stdout"}, &logStream{logs: a.logs, group: group, name: prefix + "stderr"}
	uploading, stop := context.WithCancel(context.Background())
	var uploads sync.WaitGroup
	uploads.Go(func() {
		for sleepContext(uploading, uploadInterval) {
			stdout.upload(false)
			stderr.upload(false)
		}
	})
	exit := runLive(ctx, i.instance.Machine, script, env, stdout, stderr)
	stop()
	uploads.Wait()
	stdout.upload(true)
	stderr.upload(true)
	return exit
}
