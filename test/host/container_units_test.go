//go:build e2e

package host_test

import "testing"

func TestE2ETheUnitsAreAcceptedWithoutAWarning(t *testing.T) {
	onEach(t, func(t *testing.T, m guest) {
		m.deployed("0.0.1-dev", own("systemd/atta.timer", everySecond))
		web := m.of("web")
		web.deployed("0.0.1-dev", serving("8081"))
		m.want("systemd-analyze verify /etc/systemd/system/{atta,web}.* 2>&1", "")
		m.want("journalctl --output=cat --no-pager | grep -E 'atta.*(Unknown|ignoring|deprecated)' || true", "")

		web.held("systemctl start SERVICE.service", "0.0.2-dev", serving("8081"))
		m.want("systemctl daemon-reload; systemd-analyze verify /etc/systemd/system/web-recover.service 2>&1", "")
	})
}
