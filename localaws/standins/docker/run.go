package docker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

func (e *engine) runContainer(args []string) (int, error) {
	options, rest, err := parseOptions(args, createOptions+" detach,d sig-proxy", false)
	if err != nil {
		return 0, err
	}
	c, err := e.newContainer("run", options, rest)
	if err != nil {
		return 0, exitError{daemonStatus, fmt.Errorf("docker: %w\n\nRun 'docker run --help' for more information", err)}
	}
	if options.Has("detach") {
		fmt.Println(c.Id)
	}
	status, err := e.startContainer(c, !options.Has("detach"))
	if err != nil {
		return 0, exitError{status, fmt.Errorf("docker: %w\n\nRun 'docker run --help' for more information", err)}
	}
	return status, nil
}

func (e *engine) startCommand(args []string) (int, error) {
	options, rest, err := parseOptions(args, "attach,a interactive,i", true)
	if err != nil {
		return 0, err
	}
	if err := needArguments("start", rest, 1, 1); err != nil {
		return 0, err
	}
	c, err := e.findContainer(rest[0])
	if err != nil || c.State.Running {
		return 0, err
	}
	if !options.Has("attach") {
		fmt.Println(rest[0])
	}
	return e.startContainer(c, options.Has("attach"))
}

// startContainer starts a container's shim and, when attached, passes signals in and
// output out until the program has ended; the status is the program's then.
func (e *engine) startContainer(c *container, attached bool) (int, error) {
	shim, err := e.call.Detached(ShimName, c.Id)
	if err != nil {
		return daemonStatus, err
	}
	ready, started, err := os.Pipe()
	if err != nil {
		return daemonStatus, err
	}
	shim.ExtraFiles = []*os.File{started}
	// Signals are caught before the program runs, so that none is lost.
	caught := make(chan os.Signal, 8)
	if attached {
		signal.Notify(caught, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	}
	output, err := os.OpenFile(c.LogPath, os.O_CREATE|os.O_RDONLY, 0o640)
	if err != nil {
		return daemonStatus, err
	}
	defer output.Close()
	if _, err := output.Seek(0, io.SeekEnd); err != nil {
		return daemonStatus, err
	}
	if err := shim.Start(); err != nil {
		return daemonStatus, err
	}
	_ = started.Close()
	var pid int
	answer, _ := bufio.NewReader(ready).ReadString('\n')
	if _, err := fmt.Sscanf(answer, "pid %d", &pid); err != nil {
		err := shim.Wait()
		return startStatus(err), daemonError("%s", strings.TrimSpace(answer))
	}
	if !attached {
		return 0, nil
	}
	ended := make(chan error, 1)
	go func() { ended <- shim.Wait() }()
	follow := &follower{source: bufio.NewReader(output), stdout: os.Stdout, stderr: os.Stderr}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case sig := <-caught:
			// The client asks the engine, whose event it is: https://github.com/docker/cli/blob/v27.0.0/cli/command/container/signals.go
			_ = syscall.Kill(pid, sig.(syscall.Signal))
			_ = e.recordEvent(c, "kill", map[string]string{"signal": strconv.Itoa(int(sig.(syscall.Signal)))})
		case <-tick.C:
			if err := follow.copyNewLines(); err != nil {
				return daemonStatus, err
			}
		case <-ended:
			return instance.ExitStatus(shim.ProcessState), follow.copyNewLines()
		}
	}
}

func startStatus(err error) int {
	if exit := (&exec.ExitError{}); errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	return daemonStatus
}
