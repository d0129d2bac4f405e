//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// A service without [Install] that something of the instance starts at boot is fit.
func TestAServiceThatTheInstanceStartsAtBootIsTaken(t *testing.T) {
	t.Parallel()
	text, _, _ := strings.Cut(unitOf(t, "daemon.service"), "[Install]")
	for name, command := range map[string]string{
		"systemctl add-wants": "mkdir -p $ATTA_ROOT/etc/systemd/system/multi-user.target.wants && ln -s ../atta.service $ATTA_ROOT/etc/systemd/system/multi-user.target.wants/atta.service",
		"a line with blanks":  "printf '[Unit]\\nWants = atta.service\\n' >$ATTA_ROOT/etc/systemd/system/web.target",
		"a socket":            "printf '[Socket]\\nListenStream=80\\n[Install]\\nWantedBy=sockets.target\\n' >$ATTA_ROOT/etc/systemd/system/atta.socket",
		"a linked unit":       "mkdir -p $ATTA_ROOT/opt/units && printf '[Unit]\\nWants=atta.service\\n[Install]\\nWantedBy=multi-user.target\\n' >$ATTA_ROOT/opt/units/web.target && ln -s $ATTA_ROOT/opt/units/web.target $ATTA_ROOT/etc/systemd/system/web.target",
		"a wanting unit":      "printf '[Unit]\\nWants=atta.service\\n' >$ATTA_ROOT/etc/systemd/system/web.target",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.sh(command)
			m.deployed("0.1.0-dev", daemon(), own("systemd/atta.service", text))
		})
	}
}

const calendar = "[Timer]\nOnCalendar=2099-01-01\n"

// report is a second unit of the release, which atta-report.timer starts.
func report() change {
	return own("systemd/atta-report.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
}

// Units as systemd reads them: blanks before a key are ignored, %N is the unit's name, %p that of the unit that a drop-in is for, a value
// may continue on the next line, and a file need not end with a newline.
func TestATimerThatSomethingStartsAtBootIsTaken(t *testing.T) {
	t.Parallel()
	const other, dropIn = "etc/systemd/system/zzz.service", "etc/systemd/system/atta.service.d/report.conf"
	with := func(line string) string {
		return strings.Replace(unitOf(t, "daemon.service"), "[Unit]\n", "[Unit]\n"+line+"\n", 1)
	}
	for name, test := range map[string]struct{ unit, timer, path, text string }{
		"an indented key":     {unit: with(""), timer: calendar + "[Install]\n  WantedBy=timers.target\n"},
		"by %N":               {unit: with("Wants=%N-report.timer"), timer: calendar},
		"on a continued line": {unit: with("Wants=local-fs.target \\\n  atta-report.timer"), timer: calendar},
		"in a drop-in":        {unit: with(""), timer: calendar, path: dropIn, text: "[Unit]\nWants=%p-report.timer\n"},
		"without a newline":   {unit: strings.TrimSuffix(with(""), "\n") + "\nAlso=atta-report.timer", timer: calendar, path: other, text: "[Service]\nExecStart=/bin/true\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			if test.path != "" {
				m.write(test.path, test.text, 0o644)
			}
			m.deployed("0.0.1-dev", daemon(), report(), own("systemd/atta.service", test.unit), own("systemd/atta-report.timer", test.timer))
		})
	}
}

// %p in the file of another unit is that unit's name.
func TestAnotherUnitsOwnTimerIsNotThisOne(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("etc/systemd/system/backup.service", "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\nAlso=%p-report.timer\n", 0o644)
	a := m.deploy("0.0.1-dev", daemon(), report(), own("systemd/atta-report.timer", calendar))
	m.expect(a, "refused", 10, "atta-report.timer")
}

// What the release that runs wants is gone with it.
func TestTheUnitOfTheReleaseBeforeStartsNothing(t *testing.T) {
	t.Parallel()
	m := boot(t)
	wants := strings.Replace(unitOf(t, "daemon.service"), "[Unit]\n", "[Unit]\nWants=atta-report.timer\n", 1)
	m.deployed("0.0.1-dev", daemon(), report(), own("systemd/atta.service", wants), own("systemd/atta-report.timer", calendar))
	a := m.deploy("0.0.2-dev", daemon(), report(), own("systemd/atta-report.timer", calendar))
	m.expect(a, "refused", 10, "atta-report.timer")
}
