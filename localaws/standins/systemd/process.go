package systemd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one started Exec line.
type process struct {
	main bool
	pid  int
	done chan struct{} // closed when end is known
	end  ending
}

// ending is how a process ended: code 1 for an exit with status, 2 for a signal
// of that number.
type ending struct{ code, status int }

var signalNames = map[string]syscall.Signal{
	"SIGHUP": syscall.SIGHUP, "SIGINT": syscall.SIGINT, "SIGQUIT": syscall.SIGQUIT, "SIGKILL": syscall.SIGKILL, "SIGPIPE": syscall.SIGPIPE,
	"SIGTERM": syscall.SIGTERM, "SIGUSR1": syscall.SIGUSR1, "SIGUSR2": syscall.SIGUSR2,
}

// statusNames are those of sysexits.h that a test uses.
var statusNames = map[string]int{"DATAERR": 65, "TEMPFAIL": 75}

// isSuccess reports whether an ending counts as success: systemd.service(5),
// SuccessExitStatus=.
func (e ending) isSuccess(u *unit) bool {
	for _, line := range u.settings["Service.SuccessExitStatus"] {
		for _, word := range strings.Fields(line) {
			number, err := strconv.Atoi(word)
			if named, ok := statusNames[word]; ok {
				number, err = named, nil
			}
			if (err == nil && e.code == 1 && number == e.status) || (e.code == 2 && signalNames[word] == syscall.Signal(e.status)) {
				return true
			}
		}
	}
	if e.code == 2 && u.lastValue("Service.Type") != "oneshot" {
		return slices.Contains([]syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE}, syscall.Signal(e.status))
	}
	return e.code == 1 && e.status == 0
}

func (e ending) systemdResult() string {
	if e.code == 2 {
		return "signal"
	}
	return "exit-code"
}

// String is the wording of the journal.
func (e ending) String() string {
	if e.code == 2 {
		for name, number := range signalNames {
			if int(number) == e.status {
				return fmt.Sprintf("code=killed, status=%d/%s", e.status, strings.TrimPrefix(name, "SIG"))
			}
		}
		return fmt.Sprintf("code=killed, status=%d", e.status)
	}
	name := map[int]string{0: "SUCCESS", 1: "FAILURE", 200: "CHDIR", 203: "EXEC"}[e.status]
	if name == "" {
		name = "n/a"
	}
	return fmt.Sprintf("code=exited, status=%d/%s", e.status, name)
}

// startProcess starts a command with its output going to the journal. What cannot be
// started ends with systemd's status for the step that failed:
// systemd.exec(5), PROCESS EXIT CODES.
func (s *supervisor) startProcess(c command, main bool) *process {
	p := &process{main: main, done: make(chan struct{})}
	dir, optional := strings.CutPrefix(s.u.expandSpecifiers(s.u.lastValue("Service.WorkingDirectory")), "-")
	dir = filepath.Join(s.call.Root, strings.TrimPrefix(dir, s.call.Root))
	if _, err := os.Stat(dir); err != nil && optional {
		dir = s.call.Root
	} else if err != nil {
		s.logMessage("%s: Changing to the requested working directory failed: %v", s.u.name, err)
		p.end = ending{1, 200}
		close(p.done)
		return p
	}
	invocation := s.state.Invocation
	output, err := openOutput(func(pid int, text string) {
		_ = s.appendToJournal(record{Unit: s.u.name, Invocation: invocation, Identifier: filepath.Base(c.path), PID: pid, Message: text, Output: true})
	})
	if err != nil {
		s.logMessage("%s: Failed to set up standard output: %v", s.u.name, err)
		p.end = ending{1, 209}
		close(p.done)
		return p
	}
	cmd := &exec.Cmd{
		Path: c.path, Args: c.argv, Env: s.env, Dir: dir, Stdout: output.child, Stderr: output.child,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = cmd.Start()
	_ = output.child.Close()
	if err != nil {
		output.close()
		s.logMessage("%s: Failed at step EXEC spawning %s: %v", s.u.name, c.argv[0], errors.Unwrap(err))
		p.end = ending{1, 203}
		close(p.done)
		return p
	}
	p.pid = cmd.Process.Pid
	if main {
		s.state.MainPID, s.state.ExecMainPID, s.state.ExecStart = p.pid, p.pid, time.Now()
		s.enterState(s.state.Active, s.state.Sub)
	}
	go func() {
		_ = cmd.Wait()
		output.close()
		p.end = ending{1, cmd.ProcessState.ExitCode()}
		if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
			p.end = ending{2, int(ws.Signal())}
		}
		close(p.done)
	}()
	return p
}

func (p *process) killGroup(sig syscall.Signal) {
	if p.pid > 0 {
		_ = syscall.Kill(-p.pid, sig)
	}
}
