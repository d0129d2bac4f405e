package docker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// execInContainer runs another program in a container that runs. It ends with the
// container and, other than docker's, with the command that started it.
func (e *engine) execInContainer(args []string) (int, error) {
	options, rest, err := parseOptions(args, "interactive,i tty,t env,e= env-file= workdir,w= user,u= privileged", false)
	if err != nil {
		return 0, err
	}
	if err := needArguments("exec", rest, 2, -1); err != nil {
		return 0, err
	}
	c, err := e.findContainer(rest[0])
	if err != nil {
		return 0, err
	}
	if !c.State.Running {
		return 0, daemonError("container %s is not running", c.Id)
	}
	if c.Config.Env, err = e.containerEnv(image{Config: v1.Config{Env: c.Config.Env}}, options); err != nil {
		return 0, err
	}
	if dir := options.Last("workdir"); dir != "" {
		c.Config.WorkingDir = dir
	}
	runtime.LockOSThread() // see shim: the kernel ties the end to this thread
	cmd := e.containerProcess(c, rest[1], rest[2:])
	if options.Has("interactive") {
		cmd.Stdin = os.Stdin
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, exitError{execStatus(err), fmt.Errorf("OCI runtime exec failed: exec failed: unable to start container process: exec: %q: %w: unknown", rest[1], errors.Unwrap(err))}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case <-ended:
			return instance.ExitStatus(cmd.ProcessState), nil
		case <-tick.C:
			if !instance.Locked(filepath.Join(e.containerDir(c.Id), "shim.lock")) {
				_ = cmd.Process.Kill()
			}
		}
	}
}
