//go:build long && !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestARollbackKeepsUnitsThatTheOperatorHasDisabledOrStopped(t *testing.T) {
	t.Parallel()
	m := boot(t)
	release := []change{daemon(), timer("atta-x"), timer("atta-y"), other("atta-x", "true"), other("atta-y", "true")}
	m.deployed("0.0.1-dev", release...)
	m.sh("systemctl disable atta atta-x.timer; systemctl stop atta atta-x.timer")
	before := m.live()
	a := m.deploy("0.0.2-dev", append(release, settings("ExecStartPre=/bin/false"))...)
	m.expect(a, "rolled-back", 30, "0.0.1-dev is back")
	m.same(before, m.live())
	if a.Unit == "active" || m.sh("docker ps --quiet").stdout != "" {
		t.Error("the service was started")
	}
	for unit, want := range map[string]string{"atta": "disabled", "atta-x.timer": "disabled", "atta-y.timer": "enabled"} {
		if got := m.enabled(unit); got != want {
			t.Errorf("%s is %s", unit, got)
		}
	}
	if got := m.sh("systemctl is-active atta-x.timer atta-y.timer").stdout; got != "inactive\nactive\n" {
		t.Errorf("the timers are %q", got)
	}
	m.deployed("0.0.3-dev", release...)
	if got := m.enabled("atta") + m.enabled("atta-x.timer"); got != "enabledenabled" {
		t.Error("the next release has left it", got)
	}
}

func TestAnAdditionalServiceThatTheOperatorHasEnabledStaysEnabled(t *testing.T) {
	t.Parallel()
	m := boot(t)
	worker := own("systemd/atta-worker.service", "[Service]\nExecStart=/bin/sleep 600\n[Install]\nWantedBy=multi-user.target\n")
	m.deployed("0.0.1-dev", daemon(), worker)
	m.sh("systemctl enable --now atta-worker")
	m.deployed("0.0.2-dev", daemon(), worker)
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	if got := m.sh("for i in $(seq 100); do systemctl is-active --quiet atta-worker && break; sleep 0.1; done; systemctl is-enabled atta-worker; systemctl is-active atta-worker").stdout; got != "enabled\nactive\n" {
		t.Errorf("after a deploy and a boot it is %q", got)
	}
}

func TestUnitsComeAndGoWithTheirReleaseTimersFirstToStopAndLastToStart(t *testing.T) {
	t.Parallel()
	m := boot(t)
	x := []change{daemon(), timer("atta-x"), other("atta-x", "true"), other("atta-y", "true")}
	m.deployed("0.0.1-dev", x...)
	got := m.calls(func() { m.deployed("0.0.2-dev", x...) })
	if diff := cmp.Diff([]string{"-atta-x.timer", "-atta.service", "+atta.service", "+atta-x.timer"}, got); diff != "" {
		t.Error(diff)
	}
	for unit, want := range map[string]string{"atta": "enabled", "atta-x.timer": "enabled", "atta-x": "disabled", "atta-y": "disabled"} {
		if got := m.enabled(unit); got != want {
			t.Errorf("%s is %s", unit, got)
		}
	}
	before := m.live()
	got = m.calls(func() {
		m.expect(m.deploy("0.0.3-dev", daemon(), settings("ExecStartPre=/bin/false")), "rolled-back", 30, "the container was never started")
	})
	if first, last := got[0], got[len(got)-1]; first != "-atta-x.timer" || last != "+atta.service" && last != "+atta-x.timer" {
		t.Errorf("%v", got)
	}
	m.same(before, m.live())
	if state := strings.TrimSpace(m.sh("systemctl is-active atta-x.timer").stdout); state != "active" {
		t.Error("the timer is", state)
	}
	m.deployed("0.0.4-dev", daemon())
	for path := range m.tree("etc/systemd") {
		if strings.Contains(path, "atta-") {
			t.Error("left behind:", path)
		}
	}
	if state := strings.TrimSpace(m.sh("systemctl is-active atta-x.timer").stdout); state == "active" {
		t.Error("the timer is still", state)
	}
}
