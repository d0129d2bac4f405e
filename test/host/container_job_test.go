//go:build e2e

package host_test

import (
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestE2ERunningJobIsWaitedForOrKilledAsOnRunningSays(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", image(sample.WithCmd("-sleep", "40s")), parameter("run-on-deploy", "false"))
	m.output("systemctl start --no-block $s; sleep 1")
	run, before := m.invocation(), m.snapshot()
	m.expect(m.deploy("0.0.2-dev", parameter("drain-timeout", "1")), "refused", 51, "has not ended within 1 s; nothing was changed")
	m.want("systemctl show --property=ActiveState $s", "ActiveState=activating")
	m.want("systemctl show --property=InvocationID $s", run)
	m.same(before, m.snapshot())
	m.settled()

	a := m.parse(m.run("sed -i s/^DRAIN_TIMEOUT=.*/DRAIN_TIMEOUT=90/ /opt/$s/releases/0.0.2-dev/rollout.env; /opt/$s/releases/0.0.2-dev/deploy/ec2_deploy.sh 0.0.2-dev 0.0.2-dev"))
	m.expect(a, "deployed", 0, "0.0.2-dev ran and succeeded")
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
	m.output(`printf '[Service]\nType=oneshot\nExecStart=/bin/true\nExecStopPost=/bin/sleep 1\n' >/run/systemd/system/$s-slow.service; systemctl daemon-reload`)
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
	m.output("rm /opt/$s/output/greeting.txt; for i in {1..50}; do [[ ! -e /opt/$s/output/greeting.txt ]] || exit 0; sleep 0.1; done; exit 1")

	m.deployed("0.0.2-dev")
	m.want(states, plain)
	m.want("find /etc/systemd -name 'atta*.timer'", "")

	m.expect(m.parse(m.byHand("rollback")), "deployed", 0, "0.0.1-dev is installed")
	m.want(states, timed)
	m.expect(m.deploy("0.0.3-dev", image(sample.WithExitCode(1))), "rolled-back", 40, "0.0.1-dev is back")
	m.want(states, timed)

	if err := m.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.want(states, timed)
	m.output("rm -f /opt/$s/output/greeting.txt; for i in {1..50}; do [[ ! -e /opt/$s/output/greeting.txt ]] || exit 0; sleep 0.1; done; exit 1")
}

// By default journald drops lines of a unit that prints many at once. Here it would take up to 60,000, depending on the free space:
// https://github.com/systemd/systemd/blob/v252/src/journal/journald-rate-limit.c (burst_modulate)
func TestE2ENoLineOfABurstIsLost(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.output("mkdir -p /opt/$s && echo LINES=80000 >/opt/$s/.env")
	m.deployed("0.0.1-dev")
	if got := m.output("for i in {1..100}; do n=$(journalctl --unit=$s --output=cat | grep -c '^line '); ((n < 80000)) || break; sleep 0.2; done; echo $n $(journalctl --unit=$s --output=cat | grep '^line ' | sort -u | wc -l)"); got != "80000 80000" {
		t.Errorf("the journal has %s lines", got)
	}
	if got := m.output("docker logs $s | tail -n 1"); got != "done, exit 0" {
		t.Errorf("the last line is %q", got)
	}
}
