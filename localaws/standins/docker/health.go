package docker

import (
	"bytes"
	"cmp"
	"os/exec"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// health is what docker inspect shows of a running container that has a HEALTHCHECK.
type health struct {
	Status        string // starting, healthy, unhealthy
	FailingStreak int
	Log           []healthResult // the last five
}

// healthResult is one run of a HEALTHCHECK.
// https://github.com/moby/moby/blob/master/api/types/container/health.go
type healthResult struct {
	Start, End string
	ExitCode   int
	Output     string
}

// hasHealthCheck reports whether there is a check that can be run without a shell.
func hasHealthCheck(check *v1.HealthConfig) bool {
	return check != nil && len(check.Test) > 1 && check.Test[0] == "CMD"
}

// watchHealth runs the container's HEALTHCHECK until stop is closed, and records what it finds.
// https://docs.docker.com/reference/dockerfile/#healthcheck
func (e *engine) watchHealth(c *container, stop <-chan struct{}) {
	check := c.Config.Healthcheck
	for {
		select {
		case <-stop:
			return
		case <-time.After(cmp.Or(check.Interval, 30*time.Second)):
		}
		var output bytes.Buffer
		cmd, result := e.containerProcess(c, check.Test[1], check.Test[2:]), healthResult{Start: timestamp()}
		cmd.Stdout, cmd.Stderr = &output, &output
		err := runUntil(cmd, stop)
		result.End, result.Output = timestamp(), string(output.Bytes()[:min(output.Len(), 4096)])
		if cmd.ProcessState == nil { // the program is not there
			result.ExitCode, result.Output = -1, err.Error()
		} else {
			result.ExitCode = instance.ExitStatus(cmd.ProcessState)
		}
		c.State.Health.Log = append(c.State.Health.Log[max(0, len(c.State.Health.Log)-4):], result)
		if err == nil {
			c.State.Health.Status, c.State.Health.FailingStreak = "healthy", 0
		} else if c.State.Health.FailingStreak++; c.State.Health.FailingStreak >= cmp.Or(check.Retries, 3) {
			c.State.Health.Status = "unhealthy"
		}
		_ = e.saveContainer(c)
	}
}

// runUntil runs a process, which is killed when stop is closed.
func runUntil(cmd *exec.Cmd, stop <-chan struct{}) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-stop:
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		return <-ended
	}
}
