package systemd

import (
	"slices"
	"strconv"
	"time"
)

// finishRun settles the final state, unless Restart= wants another life.
func (s *supervisor) finishRun() (again bool) {
	stopped := false
	select {
	case <-s.stop:
		stopped = true
	default:
	}
	if !stopped && s.wantsRestart() {
		s.enterState("activating", "auto-restart")
		timer, cancel := startTimer(s.u.durationOf("Service.RestartSec", 100*time.Millisecond))
		defer cancel()
		select {
		case <-s.stop:
			s.state.Canceled = true
		case <-timer:
			if !s.state.exceedsStartLimit(s.u) {
				s.logMessage("%s: Scheduled restart job, restart counter is at %d.", s.u.name, s.state.Restarts+1)
				return true
			}
			s.logMessage("%s: Start request repeated too quickly.", s.u.name)
			s.state.hitStartLimit()
		}
	}
	s.state.Supervisor, s.state.MainPID = 0, 0
	if s.state.Result == "success" {
		s.logMessage("Stopped %s.", s.u.description())
		s.enterState("inactive", "dead")
		return false
	}
	s.logMessage("%s: Failed with result '%s'.", s.u.name, s.state.Result)
	s.enterState("failed", "failed")
	return false
}

// wantsRestart follows the table of Restart= in systemd.service(5).
func (s *supervisor) wantsRestart() bool {
	if codes, _ := splitWords(s.u.lastValue("Service.RestartPreventExitStatus")); s.state.Code == 1 && slices.Contains(codes, strconv.Itoa(s.state.Status)) {
		return false
	}
	good := s.state.Result == "success"
	switch s.u.lastValue("Service.Restart") {
	case "always":
		return true
	case "on-success":
		return good
	case "on-failure":
		return !good
	case "on-abnormal":
		return s.state.Result == "signal" || s.state.Result == "timeout"
	case "on-abort":
		return s.state.Result == "signal"
	}
	return false
}
