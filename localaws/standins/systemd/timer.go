package systemd

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// The settings of a timer that elapse: systemd.timer(5). OnCalendar is checked
// and waited for, and never elapses here.
var (
	onceKeys   = []string{"OnActiveSec", "OnBootSec", "OnStartupSec"}
	repeatKeys = []string{"OnUnitActiveSec", "OnUnitInactiveSec"}
)

// triggeredUnit is the unit that a timer starts.
func (u *unit) triggeredUnit() string {
	return cmp.Or(u.expandSpecifiers(u.lastValue("Timer.Unit")), strings.TrimSuffix(u.name, ".timer")+".service")
}

func (u *unit) checkTimer() {
	for _, key := range slices.Concat(onceKeys, repeatKeys, []string{"OnCalendar"}) {
		if len(u.settings["Timer."+key]) > 0 {
			return
		}
	}
	if !u.isTrue("Timer.OnClockChange") && !u.isTrue("Timer.OnTimezoneChange") {
		u.fatal = append(u.fatal, "Timer unit lacks value setting. Refusing.")
	}
}

// runTimer runs a timer until it is stopped. A timer that has triggered its unit
// is running until that is down again.
// https://github.com/systemd/systemd/blob/v252/src/core/timer.c
func (s *supervisor) runTimer() {
	s.logMessage("Started %s.", s.u.journalTitle())
	s.enterState(s.state.Active, s.state.Sub)
	spent := map[string]bool{}
	for tick := time.NewTicker(2 * pollInterval); ; {
		if ended := s.checkTimer(spent); ended {
			return
		}
		select {
		case <-s.stop:
			s.state.Supervisor = 0
			s.logMessage("%s: Deactivated successfully.", s.u.name)
			s.logMessage("Stopped %s.", s.u.journalTitle())
			s.enterState("inactive", "dead")
			return
		case <-tick.C:
		}
	}
}

// checkTimer does what is due and reports whether the timer has failed.
func (s *supervisor) checkTimer(spent map[string]bool) (ended bool) {
	u, _, err := s.loadUnit(s.u.name)
	if err != nil {
		return false
	}
	if u == nil { // gone with a daemon-reload: it stays, and elapses no more
		u = &unit{name: s.u.name}
	}
	s.u = u
	trigger, err := s.manager.readState(u.triggeredUnit())
	_, waits, queueErr := s.findQueuedStart(u.triggeredUnit())
	if err != nil || queueErr != nil {
		return false
	}
	if down := trigger.Active == "inactive" || trigger.Active == "failed"; s.state.Sub == "running" && (!down || waits) {
		return false
	}
	due := s.nextElapses(trigger, spent)
	sub, next := "elapsed", time.Time{}
	if len(due) > 0 {
		next = slices.MinFunc(slices.Collect(maps.Values(due)), time.Time.Compare)
		if !time.Now().Before(next) {
			return s.triggerUnit(due, spent)
		}
	}
	if len(due) > 0 || len(u.settings["Timer.OnCalendar"]) > 0 {
		sub = "waiting"
	}
	if sub != s.state.Sub || !next.Equal(s.state.Elapses) {
		s.state.Elapses = next
		s.enterState("active", sub)
	}
	return false
}

// nextElapses is when each setting elapses next; one that elapses once only does so once.
func (s *supervisor) nextElapses(trigger state, spent map[string]bool) map[string]time.Time {
	base := map[string]time.Time{
		"OnActiveSec": s.state.InactiveExit, "OnBootSec": s.bootTime(), "OnStartupSec": s.bootTime(),
		"OnUnitActiveSec": laterOf(trigger.InactiveExit, s.state.Triggered), "OnUnitInactiveSec": laterOf(trigger.InactiveEnter, s.state.Triggered),
	}
	due := map[string]time.Time{}
	for key, from := range base {
		for _, value := range s.u.settings["Timer."+key] {
			span, err := parseSpan(value)
			if err == nil && span != forever && !from.IsZero() && !spent[key+"="+value] {
				due[key+"="+value] = from.Add(span)
			}
		}
	}
	return due
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// triggerUnit starts the unit; a timer whose unit is gone fails.
func (s *supervisor) triggerUnit(due map[string]time.Time, spent map[string]bool) (ended bool) {
	now := time.Now()
	for setting, at := range due {
		key, _, _ := strings.Cut(setting, "=")
		spent[setting] = slices.Contains(onceKeys, key) && !at.After(now)
	}
	trigger, _, err := s.loadUnit(s.u.triggeredUnit())
	if err == nil && (trigger == nil || len(trigger.fatal) > 0) {
		s.logMessage("%s: Failed to queue unit startup job: Unit %s not found.", s.u.name, s.u.triggeredUnit())
		s.logMessage("%s: Failed with result 'resources'.", s.u.name)
		s.state.Result, s.state.Supervisor = "resources", 0
		s.enterState("failed", "failed")
		return true
	}
	_ = s.startUnit(s.u.triggeredUnit(), instance.Options{"no-block": {"true"}}) // its own result tells
	s.state.Triggered, s.state.Elapses = now, time.Time{}
	s.enterState("active", "running")
	return false
}
