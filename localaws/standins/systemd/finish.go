package systemd

import (
	"slices"
	"strconv"
	"time"
)

// finish settles the final state, unless Restart= wants another life.
func (s *supervisor) finish() (again bool) {
	stopped := false
	select {
	case <-s.stop:
		stopped = true
	default:
	}
	if !stopped && s.wantsRestart() {
		s.enter("activating", "auto-restart")
		timer, cancel := after(s.u.span("Service.RestartSec", 100*time.Millisecond))
		defer cancel()
		select {
		case <-s.stop:
			s.state.Canceled = true
		case <-timer:
			if !s.state.limited(s.u) {
				s.say("%s: Scheduled restart job, restart counter is at %d.", s.u.name, s.state.Restarts+1)
				return true
			}
			s.say("%s: Start request repeated too quickly.", s.u.name)
			s.state.Result = "start-limit-hit"
		}
	}
	s.state.Supervisor, s.state.MainPID = 0, 0
	if s.state.Result == "success" {
		s.say("Stopped %s.", s.u.description())
		s.enter("inactive", "dead")
		return false
	}
	s.say("%s: Failed with result '%s'.", s.u.name, s.state.Result)
	s.enter("failed", "failed")
	return false
}

// wantsRestart follows the table of Restart= in systemd.service(5).
func (s *supervisor) wantsRestart() bool {
	if codes, _ := split(s.u.get("Service.RestartPreventExitStatus")); s.state.Code == 1 && slices.Contains(codes, strconv.Itoa(s.state.Status)) {
		return false
	}
	good := s.state.Result == "success"
	switch s.u.get("Service.Restart") {
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
