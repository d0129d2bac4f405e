//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// A step before the program fails each time, for a reason of the host, and systemd starts the unit again at once. The image was
// never started.
func TestAStepThatFailsAgainAndAgainIsNotTheImagesFault(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	unit := strings.NewReplacer("[Unit]\n", "[Unit]\nStartLimitIntervalSec=0\n", "RestartSec=5", "RestartSec=0", "Restart=always", "ExecStartPre=/bin/sh -c 'sleep 0.7; echo no such device >&2; exit 1'\nRestart=always").Replace(unitOf(t, "daemon.service"))
	a := m.deploy("0.0.2-dev", daemon(), own("systemd/atta.service", unit), parameter("image", m.push()), parameter("health-timeout", "20"), parameter("min-healthy-time", "3"))
	if text := m.text("opt/atta/quarantine"); a.Code != 30 || strings.Contains(text, "0.0.2-dev") {
		t.Errorf("%s %d %q; an image that was never started is quarantined: %q", a.Outcome, a.Code, a.Message, text)
	}
}
