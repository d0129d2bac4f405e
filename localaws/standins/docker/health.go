package docker

import (
	"cmp"
	"os/exec"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// health is what docker inspect shows of a running container that has a HEALTHCHECK.
type health struct {
	Status        string // starting, healthy, unhealthy
	FailingStreak int
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
		if runUntil(e.containerProcess(c, check.Test[1], check.Test[2:]), stop) == nil {
			c.State.Health = &health{Status: "healthy"}
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
