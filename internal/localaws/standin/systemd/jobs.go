package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/org/atta-deploy-action/internal/localaws/standin/instance"
)

// poll is how often a waiting systemctl looks at a unit's state.
const poll = 10 * time.Millisecond

// start begins a unit, or joins a start in flight, and waits for its outcome:
// for a oneshot service that is the end of the job.
func (m *manager) start(name string, options instance.Options) error {
	u, err := m.unit("start", name)
	if err != nil {
		return err
	}
	invocation, supervised, err := m.begin(u)
	if err != nil || invocation == "" || options.Has("no-block") {
		return err
	}
	// Reaped here, or the ended supervisor would be a zombie while others wait.
	if supervised != nil {
		go func() { _ = supervised.Wait() }()
	}
	for ; ; time.Sleep(poll) {
		s, err := m.state(name)
		if err != nil {
			return err
		}
		over := s.Started == invocation || s.Invocation != invocation || s.Sub == "auto-restart" || s.Active == "failed" || s.Active == "inactive"
		switch {
		case !over:
		case s.Canceled:
			return fmt.Errorf("Job for %s canceled.", name)
		case s.Started != invocation:
			return startError(name, s.Result)
		case !options.Has("wait") || s.settled() && s.Active != "active":
			if options.Has("wait") && s.Active == "failed" {
				return status(1)
			}
			return nil
		}
	}
}

// begin starts a supervisor under a new invocation id, unless one is at work.
func (m *manager) begin(u *unit) (invocation string, supervised *exec.Cmd, err error) {
	for {
		lock, err := m.lock()
		if err != nil {
			return "", nil, err
		}
		s, err := m.state(u.name)
		if err == nil && s.Active == "deactivating" {
			_ = lock.Close()
			time.Sleep(poll)
			continue
		}
		if err == nil && s.Active == "activating" {
			_ = lock.Close()
			return s.Invocation, nil, nil
		}
		if err == nil && s.Active != "active" {
			invocation, supervised, err = m.launch(u, s)
		}
		_ = lock.Close()
		return invocation, supervised, err
	}
}

func (m *manager) launch(u *unit, s state) (string, *exec.Cmd, error) {
	if !strings.HasSuffix(u.name, ".service") { // timers and the like only have a state
		s.Invocation = newInvocation()
		s.enter("active", "waiting")
		return "", nil, m.saveState(u.name, s)
	}
	for _, path := range u.settings["Unit.ConditionPathExists"] {
		path, negated := strings.CutPrefix(u.expand(path), "!")
		if _, err := os.Stat(m.call.Path(path)); (err == nil) == negated {
			return "", nil, nil // a condition that does not hold is no failure
		}
	}
	if s.limited(u) {
		s.Result = "start-limit-hit"
		s.enter("failed", "failed")
		if err := m.saveState(u.name, s); err != nil {
			return "", nil, err
		}
		return "", nil, startError(u.name, s.Result)
	}
	// The lock is handed to the supervisor: at no moment does nobody hold it.
	alive, err := instance.Lock(m.aliveLock(u.name))
	if err != nil {
		return "", nil, err
	}
	defer alive.Close()
	s.Invocation, s.Started, s.Supervisor, s.Restarts, s.Canceled, s.Result = newInvocation(), "", -1, 0, false, "success"
	s.enter("activating", "start")
	if err := m.saveState(u.name, s); err != nil {
		return "", nil, err
	}
	supervised, err := m.call.Detached(SupervisorName, u.name, s.Invocation)
	if err != nil {
		return "", nil, err
	}
	supervised.ExtraFiles = []*os.File{alive}
	return s.Invocation, supervised, supervised.Start()
}

func startError(name, result string) error {
	reason, ok := map[string]string{
		"exit-code": "the control process exited with error code", "signal": "a fatal signal was delivered to the control process",
		"timeout": "a timeout was exceeded", "start-limit-hit": "start of the service was attempted too often",
		"resources": "of unavailable resources or another system error",
	}[result]
	if !ok {
		return fmt.Errorf("Job for %s failed.", name)
	}
	return fmt.Errorf("Job for %s failed because %s.\nSee \"systemctl status %s\" and \"journalctl -xeu %s\" for details.", name, reason, name, name)
}

// stop ends a unit and waits until it is down.
func (m *manager) stop(name string, options instance.Options) error {
	if name == "docker.service" {
		return nil
	}
	if s, err := m.state(name); err != nil || (s.Active == "inactive" && s.Supervisor == 0) {
		if _, missing := m.unit("stop", name); missing != nil {
			return missing
		}
		return err
	}
	for asked := false; ; time.Sleep(poll) {
		s, err := m.state(name)
		if err != nil || s.Active == "inactive" || s.Active == "failed" {
			return err
		}
		if s.Supervisor == 0 {
			s.enter("inactive", "dead")
			return m.saveState(name, s)
		}
		if s.Supervisor > 0 && !asked {
			if err := syscall.Kill(s.Supervisor, syscall.SIGTERM); err != nil && err != syscall.ESRCH {
				return err
			}
			asked = true
		}
		if asked && options.Has("no-block") {
			return nil
		}
	}
}

func (m *manager) kill(name string, options instance.Options) error {
	s, err := m.state(name)
	if err != nil {
		return err
	}
	sig, ok := signalNames["SIG"+strings.TrimPrefix(options.Last("signal"), "SIG")]
	if !ok {
		sig = syscall.SIGTERM
	}
	if s.MainPID == 0 {
		return fmt.Errorf("Failed to kill unit %s: No main process to kill", name)
	}
	return syscall.Kill(-s.MainPID, sig)
}
