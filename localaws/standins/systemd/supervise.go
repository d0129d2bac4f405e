package systemd

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// SupervisorName is the stand-in that runs one service, in a session of its
// own: what started it may be killed and the service goes on.
const SupervisorName = "systemd"

// supervisor runs one service from start to end, restarts included.
type supervisor struct {
	*manager
	u     *unit
	state state
	env   []string
	stop  chan struct{} // closed when the service is to stop
}

// Supervise runs the service named by the first argument under the invocation
// id in the second. File descriptor 3 holds the lock that says it is alive.
func Supervise(call *instance.Call) int {
	syscall.CloseOnExec(3)
	s := &supervisor{manager: &manager{call}, stop: make(chan struct{})}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	go func() {
		<-asked
		close(s.stop)
	}()
	u, _, err := s.loadUnit(call.Args[0])
	if err != nil || u == nil {
		return 1
	}
	s.u = u
	if s.state, err = s.manager.readState(u.name); err != nil || s.state.Invocation != call.Args[1] {
		return 1
	}
	s.state.Supervisor = os.Getpid()
	if strings.HasSuffix(u.name, ".timer") {
		s.runTimer()
		return 0
	}
	for s.runOnce() {
		s.state.Restarts++
		s.state.Invocation = newInvocation()
	}
	return 0
}

// enterState makes a change of state visible to systemctl.
func (s *supervisor) enterState(active, sub string) {
	s.state.enterState(active, sub)
	if err := s.saveState(s.u.name, s.state); err != nil {
		s.logMessage("%s: cannot save state: %v", s.u.name, err)
	}
}

// runOnce takes the service through one life and reports whether to start again.
func (s *supervisor) runOnce() (again bool) {
	s.state.Result, s.state.Canceled = "success", false
	s.state.MainPID, s.state.ExecMainPID, s.state.Code, s.state.Status, s.state.ExecStart, s.state.ExecExit = 0, 0, 0, 0, time.Time{}, time.Time{}
	s.logMessage("Starting %s...", s.u.description())
	started := s.runService()
	if s.state.Result == "success" && started {
		s.logMessage("%s: Deactivated successfully.", s.u.name)
		s.state.Started = s.state.Invocation // a job's start is over when the unit is down again, as unit_process_job() in systemd has it
	}
	return s.finishRun()
}

// runService runs the service's commands in systemd's order and keeps the first bad
// result. It reports whether the start succeeded.
func (s *supervisor) runService() (started bool) {
	env, err := s.serviceEnv(s.u, s.state.Invocation)
	if err != nil {
		s.logMessage("%s: %v", s.u.name, err)
		s.state.Result = "resources"
		return false
	}
	s.env = env
	defer func() {
		s.enterState("deactivating", "stop-post")
		s.runCommands("ExecStopPost", s.u.durationOf("Service.TimeoutStopSec", 90*time.Second), nil)
	}()
	oneshot := s.u.lastValue("Service.Type") == "oneshot"
	limit := 90 * time.Second
	if oneshot {
		limit = forever
	}
	limit = s.u.durationOf("Service.TimeoutStartSec", s.u.durationOf("Service.TimeoutSec", limit))
	s.enterState("activating", "start-pre")
	if !s.runCommands("ExecStartPre", limit, s.stop) {
		return false
	}
	s.enterState("activating", "start")
	if oneshot {
		if !s.runCommands("ExecStart", limit, s.stop) || !s.runCommands("ExecStartPost", limit, s.stop) {
			return false
		}
		s.logMessage("Finished %s.", s.u.description())
		if s.u.isTrue("Service.RemainAfterExit") {
			s.state.Started = s.state.Invocation
			s.enterState("active", "exited")
			<-s.stop
		}
		s.enterState("deactivating", "stop")
		s.runCommands("ExecStop", s.stopLimit(), nil)
		return true
	}
	return s.runLongLived(limit)
}

func (s *supervisor) stopLimit() time.Duration {
	return s.u.durationOf("Service.TimeoutStopSec", s.u.durationOf("Service.TimeoutSec", 90*time.Second))
}

// runLongLived runs a service that stays up until it ends or is stopped.
func (s *supervisor) runLongLived(limit time.Duration) bool {
	commands, err := s.parseCommands(s.u, "ExecStart", s.env)
	if err != nil || len(commands) == 0 {
		s.state.Result = "resources"
		return false
	}
	main := s.startProcess(commands[0], true)
	if kind := s.u.lastValue("Service.Type"); main.pid == 0 && (kind == "exec" || kind == "notify") {
		return s.recordExit(main, commands[0])
	}
	s.enterState("activating", "start-post")
	if !s.runCommands("ExecStartPost", limit, s.stop) {
		s.terminateProcess(main)
		s.recordExit(main, commands[0])
		return false
	}
	s.logMessage("Started %s.", s.u.description())
	s.state.Started = s.state.Invocation
	s.enterState("active", "running")
	select {
	case <-main.done:
		s.recordExit(main, commands[0])
		s.enterState("deactivating", "stop")
		if main.end.code != 0 {
			s.runCommands("ExecStop", s.stopLimit(), nil)
		}
	case <-s.stop:
		s.logMessage("Stopping %s...", s.u.description())
		s.enterState("deactivating", "stop")
		s.runCommands("ExecStop", s.stopLimit(), nil)
		s.terminateProcess(main)
		s.recordExit(main, commands[0])
	}
	main.killGroup(syscall.SIGKILL)
	return true
}

// runCommands runs every command of a kind, one after the other, and reports whether
// all went well.
func (s *supervisor) runCommands(key string, limit time.Duration, stop <-chan struct{}) bool {
	commands, err := s.parseCommands(s.u, key, s.env)
	if err != nil {
		s.logMessage("%s: %v", s.u.name, err)
		s.recordFailure("resources")
		return false
	}
	for _, c := range commands {
		p := s.startProcess(c, key == "ExecStart")
		timeout, cancel := startTimer(limit)
		select {
		case <-p.done:
		case <-timeout:
			s.logMessage("%s: %s operation timed out. Terminating.", s.u.name, s.state.Sub)
			s.recordFailure("timeout")
			s.terminateProcess(p)
		case <-stop:
			s.state.Canceled = true
			s.logMessage("Stopping %s...", s.u.description())
			s.terminateProcess(p)
		}
		cancel()
		p.killGroup(syscall.SIGKILL)
		if !s.recordExit(p, c) || s.state.Canceled && stop != nil {
			return false
		}
	}
	return true
}

// recordExit takes over how a process ended and reports whether that was good.
func (s *supervisor) recordExit(p *process, c command) bool {
	if p.main {
		s.state.MainPID, s.state.Code, s.state.Status, s.state.ExecExit = 0, p.end.code, p.end.status, time.Now()
	}
	if p.end.isSuccess(s.u) || c.ignore {
		return s.state.Result == "success"
	}
	kind := "Control"
	if p.main {
		kind = "Main"
	}
	s.logMessage("%s: %s process exited, %s", s.u.name, kind, p.end)
	s.recordFailure(p.end.systemdResult())
	return false
}

func (s *supervisor) recordFailure(result string) {
	if s.state.Result == "success" {
		s.state.Result = result
	}
}

// terminateProcess asks a process to end, as KillMode and KillSignal say, and kills its
// group when it takes longer than TimeoutStopSec.
func (s *supervisor) terminateProcess(p *process) {
	sig := syscall.SIGTERM
	if wanted, ok := signalNames[s.u.lastValue("Service.KillSignal")]; ok {
		sig = wanted
	}
	if mode := s.u.lastValue("Service.KillMode"); mode == "mixed" || mode == "process" {
		_ = syscall.Kill(p.pid, sig)
	} else {
		p.killGroup(sig)
	}
	timeout, cancel := startTimer(s.stopLimit())
	defer cancel()
	select {
	case <-p.done:
	case <-timeout:
		s.logMessage("%s: State 'stop-sigterm' timed out. Killing.", s.u.name)
		s.recordFailure("timeout")
		p.killGroup(syscall.SIGKILL)
		<-p.done
	}
}

func startTimer(d time.Duration) (<-chan time.Time, func()) {
	if d == forever {
		return nil, func() {}
	}
	timer := time.NewTimer(d)
	return timer.C, func() { timer.Stop() }
}

// logMessage puts a message of systemd's own into the journal.
func (s *supervisor) logMessage(format string, args ...any) {
	if slices.Contains([]string{"emerg", "alert", "crit", "err", "warning", "notice"}, s.u.lastValue("Service.LogLevelMax")) && isInfo(fmt.Sprintf(format, args...)) {
		return
	}
	s.manager.logMessage(s.u.name, s.state.Invocation, format, args...)
}
