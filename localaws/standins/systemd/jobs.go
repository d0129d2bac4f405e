package systemd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// pollInterval is how often a waiting systemctl looks at a unit's state.
const pollInterval = 10 * time.Millisecond

// startUnit begins a unit, or joins a start in flight, and waits for its outcome:
// for a oneshot service that is the end of the job.
func (m *manager) startUnit(name string, options instance.Options) error {
	u, err := m.requireUnit("start", name)
	if err != nil {
		return err
	}
	invocation, queued, err := m.beginStart(u)
	if err != nil || options.Has("no-block") {
		return err
	}
	if queued != "" {
		if invocation, err = m.waitForQueuedStart(name, queued); err != nil {
			return err
		}
	}
	if invocation == "" {
		return nil
	}
	for ; ; time.Sleep(pollInterval) {
		s, err := m.readState(name)
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
		case !options.Has("wait") || s.isSettled() && s.Active != "active":
			if options.Has("wait") && s.Active == "failed" {
				return status(1)
			}
			return nil
		}
	}
}

// beginStart starts a unit under a new invocation id, unless it is active already; or it
// leaves the start to a job, where another unit's start or its own stop is first.
func (m *manager) beginStart(u *unit) (invocation, queued string, err error) {
	lock, err := m.lockUnits()
	if err != nil {
		return "", "", err
	}
	defer lock.Close()
	s, err := m.readState(u.name)
	if err != nil || s.Active == "active" {
		return "", "", err
	}
	if s.Active == "activating" {
		return s.Invocation, "", nil
	}
	if j, waits, err := m.findQueuedStart(u.name); err != nil || waits {
		return "", j.ID, err
	}
	held, err := m.mustWait(u)
	if err != nil {
		return "", "", err
	}
	if !held && s.Active != "deactivating" {
		invocation, supervised, err := m.launchUnit(u, s)
		if supervised != nil { // reaped, or the ended supervisor would be a zombie while others wait
			go func() { _ = supervised.Wait() }()
		}
		return invocation, "", err
	}
	id, alive, err := m.queueStart(u.name)
	if err != nil {
		return "", "", err
	}
	defer alive.Close()
	return "", id, m.spawnQueuedStart(u.name, id, alive)
}

// launchUnit starts a unit that is down. The invocation is empty where nobody has to
// wait: the unit is up at once, or its conditions do not hold.
func (m *manager) launchUnit(u *unit, s state) (invocation string, supervised *exec.Cmd, err error) {
	if s.exceedsStartLimit(u) {
		s.hitStartLimit()
		s.enterState("failed", "failed")
		return "", nil, errors.Join(m.saveState(u.name, s), startError(u.name, startLimitHit))
	}
	s.Unmet = m.hasUnmetCondition(u)
	if s.Unmet {
		return "", nil, m.saveState(u.name, s)
	}
	s.Invocation, s.Started, s.Supervisor, s.Restarts, s.Canceled, s.Result = newInvocation(), "", -1, 0, false, "success"
	switch {
	case strings.HasSuffix(u.name, ".timer"):
		if trigger, _, err := m.loadUnit(u.triggeredUnit()); err != nil || trigger == nil || len(trigger.fatal) > 0 {
			m.logMessage(u.name, "", "%s: Refusing to start, unit %s to trigger not loaded.", u.name, u.triggeredUnit())
			return "", nil, errors.Join(err, startError(u.name, ""))
		}
		s.enterState("active", "waiting")
	case strings.HasSuffix(u.name, ".service"):
		s.enterState("activating", "start")
	default: // targets and the like only have a state
		s.Supervisor = 0
		s.enterState("active", "active")
		return "", nil, m.saveState(u.name, s)
	}
	// The lock is handed to the supervisor: at no moment does nobody hold it.
	alive, err := instance.Lock(m.aliveLock(u.name))
	if err != nil {
		return "", nil, err
	}
	defer alive.Close()
	if err := m.saveState(u.name, s); err != nil {
		return "", nil, err
	}
	supervised, err = m.call.Detached(SupervisorName, u.name, s.Invocation)
	if err != nil {
		return "", nil, err
	}
	supervised.ExtraFiles = []*os.File{alive}
	if err := supervised.Start(); err != nil {
		return "", nil, err
	}
	if s.Active == "active" {
		return "", supervised, nil
	}
	return s.Invocation, supervised, nil
}

func startError(name, result string) error {
	reason, ok := map[string]string{
		"exit-code": "the control process exited with error code", "signal": "a fatal signal was delivered to the control process",
		"timeout": "a timeout was exceeded", "start-limit-hit": "start of the service was attempted too often",
		"resources": "of unavailable resources or another system error",
	}[result]
	if !ok {
		return fmt.Errorf("Job for %s failed.\nSee \"systemctl status %s\" and \"journalctl -xeu %s\" for details.", name, name, name)
	}
	return fmt.Errorf("Job for %s failed because %s.\nSee \"systemctl status %s\" and \"journalctl -xeu %s\" for details.", name, reason, name, name)
}

// stopUnit ends a unit and waits until it is down.
func (m *manager) stopUnit(name string, options instance.Options) error {
	if name == "docker.service" {
		return nil
	}
	if err := m.cancelQueuedStart(name); err != nil {
		return err
	}
	if s, err := m.readState(name); err != nil || (s.Active == "inactive" && s.Supervisor == 0) {
		if _, missing := m.requireUnit("stop", name); missing != nil {
			return missing
		}
		return err
	}
	for asked := false; ; time.Sleep(pollInterval) {
		s, err := m.readState(name)
		if err != nil || s.Active == "inactive" || s.Active == "failed" {
			return err
		}
		if s.Supervisor == 0 {
			s.enterState("inactive", "dead")
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

func (m *manager) killUnit(name string, options instance.Options) error {
	s, err := m.readState(name)
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
