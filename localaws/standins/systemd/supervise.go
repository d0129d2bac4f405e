package systemd

import (
	"os"
	"os/signal"
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
	u, _, err := s.load(call.Args[0])
	if err != nil || u == nil {
		return 1
	}
	s.u = u
	if s.state, err = s.manager.state(u.name); err != nil || s.state.Invocation != call.Args[1] {
		return 1
	}
	s.state.Supervisor = os.Getpid()
	if strings.HasSuffix(u.name, ".timer") {
		s.keepTime()
		return 0
	}
	for s.once() {
		s.state.Restarts++
		s.state.Invocation = newInvocation()
	}
	return 0
}

// enter makes a change of state visible to systemctl.
func (s *supervisor) enter(active, sub string) {
	s.state.enter(active, sub)
	if err := s.saveState(s.u.name, s.state); err != nil {
		s.say("%s: cannot save state: %v", s.u.name, err)
	}
}

// once takes the service through one life and reports whether to start again.
func (s *supervisor) once() (again bool) {
	s.state.Result, s.state.Canceled = "success", false
	s.state.MainPID, s.state.ExecMainPID, s.state.Code, s.state.Status = 0, 0, 0, 0
	s.say("Starting %s...", s.u.description())
	started := s.live()
	if s.state.Result == "success" && started {
		s.say("%s: Deactivated successfully.", s.u.name)
		s.state.Started = s.state.Invocation // a job's start is over when the unit is down again, as unit_process_job() in systemd has it
	}
	return s.finish()
}

// live runs the service's commands in systemd's order and keeps the first bad
// result. It reports whether the start succeeded.
func (s *supervisor) live() (started bool) {
	env, err := s.environment(s.u, s.state.Invocation)
	if err != nil {
		s.say("%s: %v", s.u.name, err)
		s.state.Result = "resources"
		return false
	}
	s.env = env
	defer func() {
		s.enter("deactivating", "stop-post")
		s.all("ExecStopPost", s.u.span("Service.TimeoutStopSec", 90*time.Second), nil)
	}()
	oneshot := s.u.get("Service.Type") == "oneshot"
	limit := 90 * time.Second
	if oneshot {
		limit = forever
	}
	limit = s.u.span("Service.TimeoutStartSec", s.u.span("Service.TimeoutSec", limit))
	s.enter("activating", "start-pre")
	if !s.all("ExecStartPre", limit, s.stop) {
		return false
	}
	s.enter("activating", "start")
	if oneshot {
		if !s.all("ExecStart", limit, s.stop) || !s.all("ExecStartPost", limit, s.stop) {
			return false
		}
		s.say("Finished %s.", s.u.description())
		if s.u.yes("Service.RemainAfterExit") {
			s.state.Started = s.state.Invocation
			s.enter("active", "exited")
			<-s.stop
		}
		s.enter("deactivating", "stop")
		s.all("ExecStop", s.stopLimit(), nil)
		return true
	}
	return s.serve(limit)
}

func (s *supervisor) stopLimit() time.Duration {
	return s.u.span("Service.TimeoutStopSec", s.u.span("Service.TimeoutSec", 90*time.Second))
}

// serve runs a service that stays up until it ends or is stopped.
func (s *supervisor) serve(limit time.Duration) bool {
	commands, err := s.commands(s.u, "ExecStart", s.env)
	if err != nil || len(commands) == 0 {
		s.state.Result = "resources"
		return false
	}
	main := s.spawn(commands[0], true)
	if kind := s.u.get("Service.Type"); main.pid == 0 && (kind == "exec" || kind == "notify") {
		return s.settle(main, commands[0])
	}
	s.enter("activating", "start-post")
	if !s.all("ExecStartPost", limit, s.stop) {
		s.end(main)
		return false
	}
	s.say("Started %s.", s.u.description())
	s.state.Started = s.state.Invocation
	s.enter("active", "running")
	select {
	case <-main.done:
		s.settle(main, commands[0])
		s.enter("deactivating", "stop")
		if main.end.code != 0 {
			s.all("ExecStop", s.stopLimit(), nil)
		}
	case <-s.stop:
		s.say("Stopping %s...", s.u.description())
		s.enter("deactivating", "stop")
		s.all("ExecStop", s.stopLimit(), nil)
		s.end(main)
		s.settle(main, commands[0])
	}
	main.killGroup(syscall.SIGKILL)
	return true
}

// all runs every command of a kind, one after the other, and reports whether
// all went well.
func (s *supervisor) all(key string, limit time.Duration, stop <-chan struct{}) bool {
	commands, err := s.commands(s.u, key, s.env)
	if err != nil {
		s.say("%s: %v", s.u.name, err)
		s.fail("resources")
		return false
	}
	for _, c := range commands {
		p := s.spawn(c, key == "ExecStart")
		timeout, cancel := after(limit)
		select {
		case <-p.done:
		case <-timeout:
			s.say("%s: %s operation timed out. Terminating.", s.u.name, s.state.Sub)
			s.fail("timeout")
			s.end(p)
		case <-stop:
			s.state.Canceled = true
			s.say("Stopping %s...", s.u.description())
			s.end(p)
		}
		cancel()
		p.killGroup(syscall.SIGKILL)
		if !s.settle(p, c) || s.state.Canceled && stop != nil {
			return false
		}
	}
	return true
}

// settle takes over how a process ended and reports whether that was good.
func (s *supervisor) settle(p *process, c command) bool {
	if p.main {
		s.state.MainPID, s.state.Code, s.state.Status, s.state.ExecExit = 0, p.end.code, p.end.status, time.Now()
	}
	if p.end.clean(s.u) || c.ignore {
		return s.state.Result == "success"
	}
	kind := "Control"
	if p.main {
		kind = "Main"
	}
	s.say("%s: %s process exited, %s", s.u.name, kind, p.end)
	s.fail(p.end.result())
	return false
}

func (s *supervisor) fail(result string) {
	if s.state.Result == "success" {
		s.state.Result = result
	}
}

// end asks a process to end, as KillMode and KillSignal say, and kills its
// group when it takes longer than TimeoutStopSec.
func (s *supervisor) end(p *process) {
	sig := syscall.SIGTERM
	if wanted, ok := signalNames[s.u.get("Service.KillSignal")]; ok {
		sig = wanted
	}
	if mode := s.u.get("Service.KillMode"); mode == "mixed" || mode == "process" {
		_ = syscall.Kill(p.pid, sig)
	} else {
		p.killGroup(sig)
	}
	timeout, cancel := after(s.stopLimit())
	defer cancel()
	select {
	case <-p.done:
	case <-timeout:
		s.say("%s: State 'stop-sigterm' timed out. Killing.", s.u.name)
		s.fail("timeout")
		p.killGroup(syscall.SIGKILL)
		<-p.done
	}
}

func after(d time.Duration) (<-chan time.Time, func()) {
	if d == forever {
		return nil, func() {}
	}
	timer := time.NewTimer(d)
	return timer.C, func() { timer.Stop() }
}

// say puts a message of systemd's own into the journal.
func (s *supervisor) say(format string, args ...any) {
	s.manager.say(s.u.name, s.state.Invocation, format, args...)
}
