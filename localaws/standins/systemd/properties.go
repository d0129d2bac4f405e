package systemd

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ofType are the properties of a service or of a timer.
func (m *manager) ofType(u *unit, s state) [][2]string {
	switch {
	case strings.HasSuffix(u.name, ".timer"):
		return slices.Concat([][2]string{
			{"Unit", u.triggers()},
			{"NextElapseUSecMonotonic", m.sinceBoot(s.Elapses)},
			{"LastTriggerUSec", stamp(s.Triggered)},
			{"LastTriggerUSecMonotonic", m.microseconds(s.Triggered)},
			{"Result", s.Result},
			{"Persistent", yesNo(u.yes("Timer.Persistent"))},
		})
	case !strings.HasSuffix(u.name, ".service"):
		return nil
	}
	startLimit := 90 * time.Second
	if u.get("Service.Type") == "oneshot" {
		startLimit = forever
	}
	return slices.Concat([][2]string{
		{"Type", cmp.Or(u.get("Service.Type"), "simple")},
		{"Restart", cmp.Or(u.get("Service.Restart"), "no")},
		{"RestartUSec", formatSpan(u.span("Service.RestartSec", 100*time.Millisecond))},
		{"TimeoutStartUSec", formatSpan(u.span("Service.TimeoutStartSec", u.span("Service.TimeoutSec", startLimit)))},
		{"TimeoutStopUSec", formatSpan(u.span("Service.TimeoutStopSec", u.span("Service.TimeoutSec", 90*time.Second)))},
		{"RemainAfterExit", yesNo(u.yes("Service.RemainAfterExit"))},
		{"MainPID", strconv.Itoa(s.MainPID)},
		{"Result", s.Result},
		{"NRestarts", strconv.Itoa(s.Restarts)},
	}, m.stamps("ExecMainStart", s.ExecStart), m.stamps("ExecMainExit", s.ExecExit), [][2]string{
		{"ExecMainPID", strconv.Itoa(s.ExecMainPID)},
		{"ExecMainCode", strconv.Itoa(s.Code)},
		{"ExecMainStatus", strconv.Itoa(s.Status)},
	})
}

func (u *unit) dependencies() (properties [][2]string) {
	for _, key := range []string{"Requires", "Wants", "Before", "After"} {
		if lines := u.settings["Unit."+key]; len(lines) > 0 {
			properties = append(properties, [2]string{key, u.expand(strings.Join(lines, " "))})
		}
	}
	if strings.HasSuffix(u.name, ".timer") {
		properties = append(properties, [2]string{"Triggers", u.triggers()})
	}
	return properties
}

// stamps are the two properties of a moment: by the calendar, and as
// microseconds since the start of the machine.
func (m *manager) stamps(name string, t time.Time) [][2]string {
	return [][2]string{{name + "Timestamp", stamp(t)}, {name + "TimestampMonotonic", m.microseconds(t)}}
}

func (m *manager) microseconds(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.Sub(m.booted()).Microseconds(), 10)
}

func (m *manager) sinceBoot(t time.Time) string {
	if t.IsZero() {
		return "infinity"
	}
	return formatSpan(t.Sub(m.booted()))
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// formatSpan prints a time span as systemd does: 1min 30s.
func formatSpan(d time.Duration) string {
	if d == forever {
		return "infinity"
	}
	var parts []string
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / unit.size; n > 0 {
			parts = append(parts, fmt.Sprintf("%d%s", n, unit.name))
			d %= unit.size
		}
	}
	return cmp.Or(strings.Join(parts, " "), "0")
}
