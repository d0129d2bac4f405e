package systemd

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// listTimers prints timers that run, with --all every loaded one. Patterns
// choose among them.
func (m *manager) listTimers(patterns []string, options instance.Options) error {
	files, err := filepath.Glob(m.runtimePath("loaded", "*.timer"))
	if err != nil {
		return err
	}
	legend := !options.Has("no-legend") && options.Last("legend") != "false"
	const line = "%-28s %-10s %-28s %-10s %-20s %s\n"
	if legend {
		fmt.Printf(line, "NEXT", "LEFT", "LAST", "PASSED", "UNIT", "ACTIVATES")
	}
	count := 0
	for _, file := range files {
		name := filepath.Base(file)
		chosen := len(patterns) == 0 || slices.ContainsFunc(patterns, func(pattern string) bool {
			ok, _ := path.Match(pattern, name)
			return ok
		})
		u, _, err := m.loadUnit(name)
		if err != nil {
			return err
		}
		s, err := m.readState(name)
		if err != nil {
			return err
		}
		if u == nil || !chosen || (s.Active != "active" && !options.Has("all")) {
			continue
		}
		count++
		fmt.Printf(line, cmp.Or(formatTimestamp(s.Elapses), "-"), splitSpan(time.Until(s.Elapses), "left", s.Elapses), cmp.Or(formatTimestamp(s.Triggered), "-"),
			splitSpan(time.Since(s.Triggered), "ago", s.Triggered), name, u.triggeredUnit())
	}
	if legend {
		fmt.Printf("\n%d timers listed.\n", count)
		if !options.Has("all") {
			fmt.Println("Pass --all to see loaded but inactive timers, too.")
		}
	}
	return nil
}

func splitSpan(d time.Duration, word string, at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return formatSpan(d.Truncate(time.Millisecond)) + " " + word
}
