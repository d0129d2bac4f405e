//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// A service that systemd does not start at boot is up until the instance is stopped and started:
// https://github.com/GlobalEmergency/ResponseGrid/pull/88, https://github.com/coreos/bugs/issues/224
func TestCaseAServiceThatABootDoesNotStartIsNamed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	text, _, _ := strings.Cut(unitOf(t, "daemon.service"), "[Install]")
	a := m.deploy("0.1.0-dev", daemon(), own("systemd/atta.service", text))
	if !strings.Contains(a.Message, "[Install]") { // refused, or deployed with a warning
		t.Errorf("%s: %q", a.Outcome, a.Message)
	}
	if err := m.Host.Reboot(); err != nil {
		t.Fatal(err)
	}
	t.Logf("after the boot: %s, drift %v", m.status().Unit, m.status().Drift)

	// The same with the built-in unit, which somebody has disabled.
	m = boot(t)
	m.deployed("0.1.0-dev", daemon())
	m.sh("systemctl disable atta")
	if s := m.status(); len(s.Drift) == 0 {
		t.Errorf("a service that a boot will not start is in sync: %q", s.Message)
	}
}
