package systemd

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// state is what systemd remembers of one unit until the next boot.
type state struct {
	Active      string // ActiveState: inactive, activating, active, deactivating, failed
	Sub         string // SubState: dead, start-pre, start, running, exited, …
	Result      string // success, exit-code, signal, timeout, start-limit-hit, resources
	Invocation  string
	Started     string // the last invocation whose start succeeded
	Supervisor  int    // pid, while one runs
	MainPID     int
	ExecMainPID int
	Code        int // ExecMainCode: 1 exited, 2 killed
	Status      int // ExecMainStatus
	Restarts    int
	Canceled    bool        // the start was overtaken by a stop
	Unmet       bool        // a condition did not hold at the last start
	Starts      []time.Time // for the start limit
	ExecStart, ExecExit, Changed, ActiveEnter, ActiveExit,
	InactiveEnter, InactiveExit time.Time
	Triggered, Elapses time.Time // a timer's last and next
}

func newInvocation() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	return hex.EncodeToString(id)
}

func (m *manager) aliveLock(name string) string { return m.runtimePath("units", name, "alive") }

// lockUnits keeps two systemctl commands from starting one unit twice.
func (m *manager) lockUnits() (*os.File, error) { return instance.Lock(m.runtimePath("lock")) }

// readState reads a unit's state. A service whose supervisor was killed has failed.
func (m *manager) readState(name string) (state, error) {
	s := state{Active: "inactive", Sub: "dead", Result: "success"}
	if name == "docker.service" {
		s.Active, s.Sub = "active", "running"
	}
	path := m.runtimePath("units", name, "state.json")
	if err := instance.ReadJSON(path, &s); err != nil {
		return s, err
	}
	if s.Supervisor == 0 || instance.Locked(m.aliveLock(name)) {
		return s, nil
	}
	// A supervisor says how it ended before it lets go of its lock.
	if err := instance.ReadJSON(path, &s); err != nil || s.Supervisor == 0 {
		return s, err
	}
	s.Active, s.Sub, s.Result, s.Supervisor, s.MainPID = "failed", "failed", "resources", 0, 0
	return s, nil
}

func (m *manager) saveState(name string, s state) error {
	return instance.WriteJSON(m.runtimePath("units", name, "state.json"), s)
}

// enterState moves to another state and keeps the time of it.
func (s *state) enterState(active, sub string) {
	now := time.Now()
	if s.Active != active {
		switch s.Active {
		case "inactive", "failed":
			s.InactiveExit = now
		case "active":
			s.ActiveExit = now
		}
		switch active {
		case "inactive", "failed":
			s.InactiveEnter = now
		case "active":
			s.ActiveEnter = now
		}
		s.Changed = now
	}
	s.Active, s.Sub = active, sub
}

// isSettled reports whether nothing is going on.
func (s *state) isSettled() bool {
	return s.Active == "inactive" || s.Active == "failed" || s.Active == "active"
}

// exceedsStartLimit counts a start and reports whether it was one too many:
// StartLimitBurst starts, 5 by default, in StartLimitIntervalSec, 10 s.
func (s *state) exceedsStartLimit(u *unit) bool {
	interval := u.durationOf("Unit.StartLimitIntervalSec", u.durationOf("Service.StartLimitInterval", 10*time.Second))
	burst, err := strconv.Atoi(cmp.Or(u.lastValue("Unit.StartLimitBurst"), u.lastValue("Service.StartLimitBurst"), "5"))
	if err != nil || interval <= 0 || burst <= 0 {
		return false
	}
	s.Starts = slices.DeleteFunc(s.Starts, func(t time.Time) bool { return time.Since(t) > interval })
	if len(s.Starts) >= burst {
		return true
	}
	s.Starts = append(s.Starts, time.Now())
	return false
}

const startLimitHit = "start-limit-hit"

// hitStartLimit gives a unit that is started once too often its result, unless an earlier failure has given it one:
// https://github.com/systemd/systemd/blob/v252/src/core/service.c (service_enter_dead)
func (s *state) hitStartLimit() {
	if s.Result == "" || s.Result == "success" {
		s.Result = startLimitHit
	}
}

// unitName completes a name as systemctl does.
func unitName(name string) string {
	for _, suffix := range []string{".service", ".timer", ".target", ".socket", ".path", ".mount", ".slice"} {
		if strings.HasSuffix(name, suffix) {
			return name
		}
	}
	return name + ".service"
}
