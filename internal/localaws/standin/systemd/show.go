package systemd

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/localaws/standin/instance"
)

// show prints properties, always in systemd's own order: that of --property
// does not count, which matters with --value.
func (m *manager) show(name string, options instance.Options) error {
	u, stale, err := m.load(name)
	if err != nil {
		return err
	}
	s, err := m.state(name)
	if err != nil {
		return err
	}
	loaded := "loaded"
	if u == nil {
		loaded, u = "not-found", &unit{name: name}
	} else if len(u.fatal) > 0 {
		loaded = "bad-setting"
	}
	oneshot := u.get("Service.Type") == "oneshot"
	startLimit := 90 * time.Second
	if oneshot {
		startLimit = forever
	}
	properties := [][2]string{
		{"Type", cmp.Or(u.get("Service.Type"), "simple")},
		{"Restart", cmp.Or(u.get("Service.Restart"), "no")},
		{"RestartUSec", formatSpan(u.span("Service.RestartSec", 100*time.Millisecond))},
		{"TimeoutStartUSec", formatSpan(u.span("Service.TimeoutStartSec", u.span("Service.TimeoutSec", startLimit)))},
		{"TimeoutStopUSec", formatSpan(u.span("Service.TimeoutStopSec", u.span("Service.TimeoutSec", 90*time.Second)))},
		{"RemainAfterExit", yesNo(u.yes("Service.RemainAfterExit"))},
		{"MainPID", strconv.Itoa(s.MainPID)},
		{"Result", s.Result},
		{"NRestarts", strconv.Itoa(s.Restarts)},
		{"ExecMainStartTimestamp", stamp(s.ExecStart)},
		{"ExecMainExitTimestamp", stamp(s.ExecExit)},
		{"ExecMainPID", strconv.Itoa(s.ExecMainPID)},
		{"ExecMainCode", strconv.Itoa(s.Code)},
		{"ExecMainStatus", strconv.Itoa(s.Status)},
		{"Id", name},
		{"Names", name},
		{"Description", u.description()},
		{"LoadState", loaded},
		{"ActiveState", s.Active},
		{"SubState", s.Sub},
		{"FragmentPath", u.path},
		{"UnitFileState", m.fileState(name)},
		{"StateChangeTimestamp", stamp(s.Changed)},
		{"InactiveExitTimestamp", stamp(s.InactiveExit)},
		{"ActiveEnterTimestamp", stamp(s.ActiveEnter)},
		{"ActiveExitTimestamp", stamp(s.ActiveExit)},
		{"InactiveEnterTimestamp", stamp(s.InactiveEnter)},
		{"NeedDaemonReload", yesNo(stale)},
		{"InvocationID", s.Invocation},
	}
	var wanted []string
	for _, list := range options["property"] {
		wanted = append(wanted, strings.Split(list, ",")...)
	}
	for _, property := range properties {
		switch {
		case len(wanted) > 0 && !slices.Contains(wanted, property[0]):
		case options.Has("value"):
			fmt.Println(property[1])
		default:
			fmt.Printf("%s=%s\n", property[0], property[1])
		}
	}
	return nil
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
