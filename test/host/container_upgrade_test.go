//go:build e2e

package host_test

import "testing"

// An upgrade of containerd or Docker stops docker.service, and may start it much later:
// https://github.com/docker/for-linux/issues/1155
func TestE2ECaseWhatRunsComesBackAfterAnUpgradeOfTheEngine(t *testing.T) {
	t.Parallel()
	m := boot(t)
	web := m.of("web")
	web.deployed("0.0.1-dev", serving("8081"))
	m.deployed("0.0.1-dev", own("systemd/atta.timer", everySecond))
	if !m.isPodman() { // which has no daemon that an upgrade stops
		m.output("systemctl mask --runtime docker.service; systemctl stop docker.socket docker.service; systemctl stop containerd.service; sleep 20")
		m.output("systemctl unmask --runtime docker.service; systemctl daemon-reload; systemctl start containerd.service docker.service")
	}
	m.output("rm -f /opt/atta/output/greeting.txt")
	m.output("for i in {1..60}; do sleep 1; systemctl is-active web && docker container inspect web && test -e /opt/atta/output/greeting.txt && exit; done >/dev/null 2>&1; systemctl status web atta.timer; exit 1")
	web.isServing("0.0.1-dev")
}
