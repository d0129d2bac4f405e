package systemd

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// typeProperties are the properties of a service or of a timer.
func (m *manager) typeProperties(u *unit, s state) [][2]string {
	switch {
	case strings.HasSuffix(u.name, ".timer"):
		return slices.Concat([][2]string{
			{"Unit", u.triggeredUnit()},
			{"NextElapseUSecMonotonic", m.sinceBoot(s.Elapses)},
			{"LastTriggerUSec", formatTimestamp(s.Triggered)},
			{"LastTriggerUSecMonotonic", m.sinceBootMicros(s.Triggered)},
			{"Result", s.Result},
			{"Persistent", yesNo(u.isTrue("Timer.Persistent"))},
		})
	case !strings.HasSuffix(u.name, ".service"):
		return nil
	}
	startLimit := 90 * time.Second
	if u.lastValue("Service.Type") == "oneshot" {
		startLimit = forever
	}
	return slices.Concat([][2]string{
		{"Type", cmp.Or(u.lastValue("Service.Type"), "simple")},
		{"Restart", cmp.Or(u.lastValue("Service.Restart"), "no")},
		{"RestartUSec", formatSpan(u.durationOf("Service.RestartSec", 100*time.Millisecond))},
		{"TimeoutStartUSec", formatSpan(u.durationOf("Service.TimeoutStartSec", u.durationOf("Service.TimeoutSec", startLimit)))},
		{"TimeoutStopUSec", formatSpan(u.durationOf("Service.TimeoutStopSec", u.durationOf("Service.TimeoutSec", 90*time.Second)))},
		{"RemainAfterExit", yesNo(u.isTrue("Service.RemainAfterExit"))},
		{"MainPID", strconv.Itoa(s.MainPID)},
		{"Result", s.Result},
		{"NRestarts", strconv.Itoa(s.Restarts)},
	}, m.timestampProperties("ExecMainStart", s.ExecStart), m.timestampProperties("ExecMainExit", s.ExecExit), [][2]string{
		{"ExecMainPID", strconv.Itoa(s.ExecMainPID)},
		{"ExecMainCode", strconv.Itoa(s.Code)},
		{"ExecMainStatus", strconv.Itoa(s.Status)},
	})
}

func (u *unit) dependencyProperties() (properties [][2]string) {
	for _, key := range []string{"Requires", "Wants", "Before", "After"} {
		if lines := u.settings["Unit."+key]; len(lines) > 0 {
			properties = append(properties, [2]string{key, u.expandSpecifiers(strings.Join(lines, " "))})
		}
	}
	if strings.HasSuffix(u.name, ".timer") {
		properties = append(properties, [2]string{"Triggers", u.triggeredUnit()})
	}
	return properties
}

// timestampProperties are the two properties of a moment: by the calendar, and as
// microseconds since the start of the machine.
func (m *manager) timestampProperties(name string, t time.Time) [][2]string {
	return [][2]string{{name + "Timestamp", formatTimestamp(t)}, {name + "TimestampMonotonic", m.sinceBootMicros(t)}}
}

func (m *manager) sinceBootMicros(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.Sub(m.clockZero()).Microseconds(), 10)
}

func (m *manager) sinceBoot(t time.Time) string {
	if t.IsZero() {
		return "infinity"
	}
	return formatSpan(t.Sub(m.bootTime()))
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
