//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

const calendar = "[Timer]\nOnCalendar=2099-01-01\n"

func report() change {
	return own("systemd/atta-report.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
}

// A unit file need not end with a newline.
func TestAUnitFileWithoutANewlineAtItsEndStartsATimer(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("etc/systemd/system/zzz.service", "[Service]\nExecStart=/bin/true\n", 0o644)
	text := strings.TrimSuffix(unitOf(t, "daemon.service"), "\n") + "\nAlso=atta-report.timer"
	a := m.deploy("0.0.1-dev", daemon(), report(), own("systemd/atta.service", text), own("systemd/atta-report.timer", calendar))
	if a.Outcome != "deployed" {
		t.Errorf("%s: %s", a.Outcome, a.Message)
	}
}

// %p in the file of another unit is that unit's name.
func TestAnotherUnitsOwnTimerIsNotThisOne(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("etc/systemd/system/backup.service", "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\nAlso=%p-report.timer\n", 0o644)
	a := m.deploy("0.0.1-dev", daemon(), report(), own("systemd/atta-report.timer", calendar))
	if a.Outcome != "refused" {
		t.Errorf("nothing starts atta-report.timer after a boot, and the deploy is %s: %s", a.Outcome, a.Message)
	}
}

// What the release that runs wants is gone with it.
func TestTheUnitOfTheReleaseBeforeStartsNothing(t *testing.T) {
	t.Parallel()
	m := boot(t)
	wants := strings.Replace(unitOf(t, "daemon.service"), "[Unit]\n", "[Unit]\nWants=atta-report.timer\n", 1)
	m.deployed("0.0.1-dev", daemon(), report(), own("systemd/atta.service", wants), own("systemd/atta-report.timer", calendar))
	a := m.deploy("0.0.2-dev", daemon(), report(), own("systemd/atta-report.timer", calendar))
	if a.Outcome == "deployed" {
		t.Logf("%s: %s", a.Outcome, a.Message)
		if err := m.Host.Reboot(); err != nil {
			t.Fatal(err)
		}
		s := m.status()
		t.Errorf("nothing starts atta-report.timer after a boot, and the deploy was green; after a boot: %v", s.Drift)
	}
}
