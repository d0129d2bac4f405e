//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// Nothing of it was started, so nothing is known of the image.
func TestAnImageThatWasNotStartedIsNotQuarantined(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	next := parameter("image", m.push())
	m.expect(m.deploy("0.0.2-dev", next, own("systemd/atta.service", "[Unit]\nConditionPathExists=/nowhere\n[Service]\nType=oneshot\nExecStart=/bin/true --name=%N ${IMAGE}\n")), "rolled-back", 30, "no new run")
	m.deployed("0.0.3-dev", next)
}

// The unit waits for something of the host before it runs the container: nothing of the image was started.
func TestAnImageWhoseUnitNeverCameToStartItIsNotQuarantined(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	a := m.deploy("0.0.2-dev", daemon(), settings("ExecStartPre=/bin/sh -c 'test -e /opt/atta/current/deploy/more || sleep 30'"), parameter("image", m.push()), parameter("health-timeout", "3"))
	if a.Outcome != "rolled-back" || a.Code != 30 {
		t.Errorf("%s %d: %s", a.Outcome, a.Code, a.Message)
	}
	if text := m.text("opt/atta/quarantine"); strings.Contains(text, "0.0.2-dev") {
		t.Errorf("an image that was never started is quarantined: %s", text)
	}
}

// A step before the program fails, for a reason of the host: its container was never there.
func TestAnImageBeforeWhichAStepFailedIsNotQuarantined(t *testing.T) {
	t.Parallel()
	for kind, unit := range map[string]change{"service": daemon(), "job": oneshot("ExecStartPre=/bin/sh -c 'echo no such device >&2; exit 1'\n", "true")} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			changes := []change{unit, parameter("image", m.push()), parameter("health-timeout", "5"), parameter("min-healthy-time", "1")}
			if kind == "service" {
				changes = append(changes, settings("ExecStartPre=/bin/sh -c 'echo no such device >&2; exit 1'"))
			}
			a := m.deploy("0.0.2-dev", changes...)
			if text := m.text("opt/atta/quarantine"); strings.Contains(text, "0.0.2-dev") {
				t.Errorf("%s %d %q: an image that was never started is quarantined: %s", a.Outcome, a.Code, a.Message, text)
			}
		})
	}
}
