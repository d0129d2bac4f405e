//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// Units as systemd reads them: blanks before a key are ignored, %N is the unit's name, a value may continue on the next line.
func TestATimerThatSomethingStartsAtBootIsTaken(t *testing.T) {
	t.Parallel()
	const calendar = "[Timer]\nOnCalendar=2099-01-01\n"
	daemonWith := func(line string) change {
		return own("systemd/atta.service", strings.Replace(unitOf(t, "daemon.service"), "[Unit]\n", "[Unit]\n"+line+"\n", 1))
	}
	report := own("systemd/atta-report.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
	for name, changes := range map[string][]change{
		"an indented key":     {daemonWith(""), own("systemd/atta-report.timer", calendar+"[Install]\n  WantedBy=timers.target\n")},
		"by %N":               {daemonWith("Wants=%N-report.timer"), own("systemd/atta-report.timer", calendar)},
		"on a continued line": {daemonWith("Wants=local-fs.target \\\n  atta-report.timer"), own("systemd/atta-report.timer", calendar)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			a := m.deploy("0.0.1-dev", append([]change{daemon(), report}, changes...)...)
			if a.Outcome != "deployed" {
				t.Errorf("%s: %s", a.Outcome, a.Message)
			}
		})
	}
}
