//go:build !e2e

package host_test

import "testing"

// A drop-in of the instance starts the timer with the service. %p is the name of the unit that it is for.
func TestATimerThatADropInOfTheInstanceStartsIsTaken(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("etc/systemd/system/atta.service.d/report.conf", "[Unit]\nWants=%p-report.timer\n", 0o644)
	a := m.deploy("0.0.1-dev", daemon(), report(), own("systemd/atta-report.timer", calendar))
	if a.Outcome != "deployed" {
		t.Errorf("%s: %s", a.Outcome, a.Message)
	}
}
