//go:build e2e

package host_test

import "testing"

func TestE2EAPrunedInstanceStartsWithoutARegistry(t *testing.T) {
	t.Parallel()
	m := boot(t)
	web := m.of("web")
	for _, version := range []string{"0.0.1-dev", "0.0.2-dev"} {
		m.deployed(version)
		web.deployed(version, serving("8081"))
	}
	m.output("systemctl stop web; docker image prune --all --force; rm /opt/$s/output/greeting.txt")
	if err := m.Unplug(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.want("cat /opt/$s/output/greeting.txt", "hello from 0.0.2-dev")
	web.isUp("0.0.2-dev")

	m.expect(m.parse(m.byHand("rollback")), "deployed", 0, "0.0.1-dev is installed")
	m.output("systemctl start $s")
	m.want("cat /opt/$s/output/greeting.txt", "hello from 0.0.1-dev")
	m.expect(web.parse(web.byHand("rollback")), "deployed", 0, "0.0.1-dev runs")
	web.isServing("0.0.1-dev")
}
