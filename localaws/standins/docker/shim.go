package docker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// ShimName is the stand-in that stays with one container, as containerd-shim
// does: the docker command may be killed and the container goes on.
const ShimName = "containerd-shim"

// Shim runs the container named by its only argument and exits as its program
// does. On file descriptor 3 it writes the program's pid, or why there is none.
func Shim(call *instance.Call) int {
	e := &engine{call: call, dir: call.Path("/var/lib/docker")}
	caller := os.NewFile(3, "caller")
	status, err := e.superviseContainer(call.Args[0], caller)
	if err != nil {
		fmt.Fprintln(caller, strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return status
}

func (e *engine) superviseContainer(id string, caller *os.File) (int, error) {
	lock, err := instance.Lock(filepath.Join(e.containerDir(id), "shim.lock"))
	if err != nil {
		return daemonStatus, err
	}
	defer lock.Close()
	c, err := e.findContainer(id)
	if err != nil {
		return daemonStatus, err
	}
	output, err := newRecorder(c.LogPath)
	if err != nil {
		return daemonStatus, err
	}
	// The program dies with its shim. The kernel ties that to the thread that
	// started it: prctl(2), PR_SET_PDEATHSIG.
	runtime.LockOSThread()
	cmd := e.containerProcess(c, c.Path, c.Args)
	stdout, stderr := output.newStream("stdout"), output.newStream("stderr")
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = 100 * time.Millisecond
	c.State = state{Status: "running", Running: true, StartedAt: timestamp()}
	if err := cmd.Start(); err != nil {
		status := execStatus(err)
		err = fmt.Errorf("failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: %q: %w", c.Path, err)
		return status, errors.Join(err, e.recordEnd(c, status, err.Error()))
	}
	c.State.Pid = cmd.Process.Pid
	checked := hasHealthCheck(c.Config.Healthcheck)
	if checked {
		c.State.Health = &health{Status: "starting"}
	}
	if err := errors.Join(e.recordEvent(c, "start", nil), e.saveContainer(c)); err != nil {
		return daemonStatus, errors.Join(err, cmd.Process.Kill())
	}
	fmt.Fprintf(caller, "pid %d\n", c.State.Pid)
	_ = caller.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		if checked {
			e.watchHealth(c, stop)
		}
	}()
	_ = cmd.Wait()
	close(stop)
	<-stopped
	_ = syscall.Kill(-c.State.Pid, syscall.SIGKILL) // what the program left behind ends with it
	stdout.flushLine()
	stderr.flushLine()
	status := instance.ExitStatus(cmd.ProcessState)
	return status, e.recordEnd(c, status, "")
}

// recordEnd records how a container has ended, or with a message why it was not started, of which there is no event:
// https://github.com/moby/moby/blob/v27.0.0/daemon/start.go
func (e *engine) recordEnd(c *container, status int, message string) error {
	if message == "" {
		if err := e.recordEvent(c, "die", map[string]string{"exitCode": strconv.Itoa(status)}); err != nil {
			return err
		}
	}
	if c.HostConfig.AutoRemove && e.takeFault("slow-removal") {
		c.State.Status, c.State.Running = "removing", false
		return e.saveContainer(c)
	}
	if c.HostConfig.AutoRemove {
		return os.RemoveAll(e.containerDir(c.Id))
	}
	c.State = state{Status: "exited", ExitCode: status, Error: message, StartedAt: c.State.StartedAt, FinishedAt: timestamp()}
	return e.saveContainer(c)
}

// execStatus is what docker exits with when a program cannot be started.
func execStatus(err error) int {
	switch {
	case errors.Is(err, syscall.EACCES):
		return 126
	case errors.Is(err, syscall.ENOEXEC):
		return 255
	}
	return 127
}

// containerProcess is a process of the container: its files are the container's copy,
// its environment is the container's alone.
func (e *engine) containerProcess(c *container, path string, args []string) *exec.Cmd {
	rootfs := filepath.Join(e.containerDir(c.Id), "rootfs")
	cmd := &exec.Cmd{
		Path: filepath.Join(rootfs, path),
		Args: append([]string{path}, args...),
		Env:  append([]string{"HOSTNAME=" + c.Config.Hostname}, c.Config.Env...),
		Dir:  filepath.Join(rootfs, c.Config.WorkingDir),
		SysProcAttr: &syscall.SysProcAttr{
			Setpgid: true, Pdeathsig: syscall.SIGKILL,
		},
	}
	switch {
	case strings.ContainsRune(path, '/') && !filepath.IsAbs(path):
		cmd.Path = filepath.Join(cmd.Dir, path)
	case !filepath.IsAbs(path):
		for _, value := range cmd.Env {
			if dirs, ok := strings.CutPrefix(value, "PATH="); ok {
				cmd.Path = searchPath(rootfs, filepath.SplitList(dirs), path)
			}
		}
	}
	return cmd
}

func searchPath(rootfs string, dirs []string, name string) string {
	for _, dir := range dirs {
		path := filepath.Join(rootfs, dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return filepath.Join(rootfs, name)
}

// recorder writes what a program prints as docker's json-file driver does.
type recorder struct {
	mu   sync.Mutex
	file io.Writer
}

func newRecorder(path string) (*recorder, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	return &recorder{file: file}, err
}

func (r *recorder) newStream(name string) *stream { return &stream{recorder: r, name: name} }
