//go:build e2e

package container_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

// The SSM agent gives 168, 169 and 194 a meaning of their own, and takes 137 for a timeout.
func TestE2EAJobThatFailsIsTakenBackWhole(t *testing.T) {
	onEach(t, func(t *testing.T, m machine) {
		m.deployed("0.0.1-dev")
		m.deployed("0.0.2-dev")
		m.want("cat /opt/$s/output/greeting.txt", "hello from 0.0.2-dev")
		run := m.id()
		m.expect(m.deploy("0.0.2-dev"), "unchanged", 0, "runs already")
		m.want("systemctl show --property=InvocationID $s", run)

		before := m.live()
		boot := m.sh("cat /proc/1/stat")
		for i, code := range []int{1, 137, 168, 169, 194} {
			version := fmt.Sprintf("0.1.%d-dev", i)
			a := m.deploy(version, image(sample.WithExitCode(code)), own("extra.txt", version))
			m.expect(a, "rolled-back", 40, fmt.Sprintf("result exit-code, exit status %d; 0.0.2-dev is installed", code))
			if !strings.Contains(string(a.Stderr), fmt.Sprintf("done, exit %d", code)) {
				t.Errorf("the job's own words are missing:\n%s", a.Stderr)
			}
			m.same(before, m.live())
			m.settled()
			m.concluded("rolled-back", 40, version)
		}
		if pid1 := m.sh("cat /proc/1/stat"); strings.Fields(pid1)[21] != strings.Fields(boot)[21] {
			t.Error("the instance was rebooted")
		}
		m.expect(m.deploy("0.1.4-dev", image(sample.WithExitCode(194)), own("extra.txt", "0.1.4-dev")), "refused", 10, "quarantined")
		m.same(before, m.live())
		m.sh("systemctl start $s")
		m.want("cat /opt/$s/output/greeting.txt", "hello from 0.0.2-dev")
		m.want("docker ps --quiet", "")
	})
}

func TestE2EAJobInFlightIsWaitedForOrKilledAsToldTo(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", image(sample.WithCmd("-sleep", "40s")), parameter("run-on-deploy", "false"))
	m.sh("systemctl start --no-block $s; sleep 1")
	run, before := m.id(), m.live()
	m.expect(m.deploy("0.0.2-dev", parameter("drain-timeout", "1")), "refused", 51, "has not ended within 1 s; nothing was changed")
	m.want("systemctl show --property=ActiveState $s", "ActiveState=activating")
	m.want("systemctl show --property=InvocationID $s", run)
	m.same(before, m.live())
	m.settled()

	a := m.read("sed -i s/^DRAIN_TIMEOUT=.*/DRAIN_TIMEOUT=90/ /opt/$s/releases/0.0.2-dev/rollout.env; /opt/$s/releases/0.0.2-dev/deploy/ec2_deploy.sh 0.0.2-dev 0.0.2-dev")
	m.expect(a, "deployed", 0, "0.0.2-dev runs")
	if a.Millis["drain"] < 500 {
		t.Errorf("waited %d ms for the job", a.Millis["drain"])
	}
	m.want("journalctl --output=cat --unit=$s | grep -e ^sample -e ^done", "sample 0.0.1-dev\ndone, exit 0\nsample 0.0.2-dev\ndone, exit 0")

	m.deployed("0.0.3-dev", image(sample.WithCmd("-sleep", "60s")), parameter("health-timeout", "2"))
	m.deployed("0.0.4-dev", parameter("on-running", "kill"))
	m.want("journalctl --output=cat --unit=$s | grep -e ^sample -e ^done | tail -n 3", "sample 0.0.3-dev\nsample 0.0.4-dev\ndone, exit 0")
	m.want("docker ps --quiet", "")
}

// What the local systemd does, the real one does.
func TestE2ETheStartOfAJobIsOverWhenItsUnitIsDown(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.sh(`printf '[Service]\nType=oneshot\nExecStart=/bin/true\nExecStopPost=/bin/sleep 1\n' >/run/systemd/system/$s-slow.service; systemctl daemon-reload`)
	m.want("systemctl start $s-slow; systemctl show --property=ActiveState $s-slow", "ActiveState=inactive")
}

const everySecond = "[Timer]\nOnActiveSec=1s\nOnUnitActiveSec=1s\nAccuracySec=100ms\n[Install]\nWantedBy=timers.target\n"

func TestE2EATimerComesAndGoesWithItsRelease(t *testing.T) {
	t.Parallel()
	m := boot(t)
	states := "systemctl show --property=UnitFileState,ActiveState $s.timer | sort; systemctl show --property=UnitFileState $s"
	timed := "ActiveState=active\nUnitFileState=enabled\nUnitFileState=disabled"
	plain := "ActiveState=inactive\nUnitFileState=\nUnitFileState=enabled"

	m.deployed("0.0.1-dev", own("systemd/atta.timer", everySecond))
	m.want(states, timed)
	m.sh("rm /opt/$s/output/greeting.txt; for i in {1..50}; do [[ ! -e /opt/$s/output/greeting.txt ]] || exit 0; sleep 0.1; done; exit 1")

	m.deployed("0.0.2-dev")
	m.want(states, plain)
	m.want("find /etc/systemd -name 'atta*.timer'", "")

	m.expect(m.byHand("rollback"), "deployed", 0, "0.0.1-dev is installed")
	m.want(states, timed)
	m.expect(m.deploy("0.0.3-dev", image(sample.WithExitCode(1))), "rolled-back", 40, "0.0.1-dev is installed")
	m.want(states, timed)

	if err := m.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.want(states, timed)
	m.sh("rm -f /opt/$s/output/greeting.txt; for i in {1..50}; do [[ ! -e /opt/$s/output/greeting.txt ]] || exit 0; sleep 0.1; done; exit 1")
}
