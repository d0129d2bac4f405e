package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

var _ interface {
	localaws.Machine
	localaws.LiveMachine
} = (*Host)(nil)

// Run executes script as the SSM agent does: sh -c of a file that stays on
// disk, in its own process group, from /usr/bin, umask 022, no input, no
// HOME. It returns when the script has ended and nobody holds its output any
// more, or shortly after ctx has killed the group.
// https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/executers/executers_unix.go
func (h *Host) Run(ctx context.Context, script string, env []string) localaws.Exit {
	return h.RunLive(ctx, script, env, io.Discard, io.Discard)
}

// RunLive implements localaws.LiveMachine.
func (h *Host) RunLive(ctx context.Context, script string, env []string, stdout, stderr io.Writer) localaws.Exit {
	exit, err := h.runScript(ctx, script, env, stdout, stderr)
	if err != nil {
		return localaws.Exit{Code: 1, Stderr: fmt.Appendln(nil, err)}
	}
	return exit
}

func (h *Host) runScript(ctx context.Context, script string, env []string, liveOut, liveErr io.Writer) (exit localaws.Exit, err error) {
	if err := ctx.Err(); err != nil {
		return exit, fmt.Errorf("start script: %w", err)
	}
	folder, err := os.MkdirTemp(filepath.Join(h.dir, "commands"), time.Now().UTC().Format("20060102T150405-"))
	if err != nil {
		return exit, fmt.Errorf("make folder: %w", err)
	}
	file := filepath.Join(folder, "_script.sh")
	if err := writeProgram(file, script); err != nil {
		return exit, fmt.Errorf("write script: %w", err)
	}
	// The umask is the process's own, so it is set on the way to the script.
	cmd := exec.Command("/bin/sh", "-c", `umask 022; exec sh -c "$1"`, "sh", file)
	cmd.Dir = "/usr/bin"
	cmd.Env = append([]string{
		"PATH=" + filepath.Join(h.dir, "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"ATTA_ROOT=" + h.Root(), instance.AgentMark,
	}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := newCapture(liveOut)
	if err != nil {
		return exit, err
	}
	stderr, err := newCapture(liveErr)
	if err != nil {
		return exit, err
	}
	cmd.Stdout, cmd.Stderr = stdout.writer, stderr.writer
	if err := cmd.Start(); err != nil {
		return exit, fmt.Errorf("start script: %w", err)
	}
	group := -cmd.Process.Pid
	stop := context.AfterFunc(ctx, func() {
		_ = syscall.Kill(group, syscall.SIGKILL)
		// What left the group may keep the output; the agent does not wait for it.
		time.AfterFunc(100*time.Millisecond, func() { stdout.stopReading(); stderr.stopReading() })
	})
	defer stop()
	stdout.readInBackground()
	stderr.readInBackground()
	_ = cmd.Wait() // ProcessState has the result
	return localaws.Exit{Code: instance.ExitStatus(cmd.ProcessState), Stdout: stdout.waitForOutput(), Stderr: stderr.waitForOutput()}, nil
}

// capture is a pipe whose writers are waited for, whoever they are.
type capture struct {
	reader, writer *os.File
	live           io.Writer
	buffer         bytes.Buffer
	done           chan struct{}
}

func newCapture(live io.Writer) (*capture, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	return &capture{reader: reader, writer: writer, live: live, done: make(chan struct{})}, nil
}

func (c *capture) readInBackground() {
	_ = c.writer.Close()
	go func() {
		defer close(c.done)
		_, _ = io.Copy(io.MultiWriter(&c.buffer, c.live), c.reader)
		_ = c.reader.Close()
	}()
}

func (c *capture) stopReading() { _ = c.reader.SetReadDeadline(time.Now()) }

func (c *capture) waitForOutput() []byte {
	<-c.done
	return c.buffer.Bytes()
}
