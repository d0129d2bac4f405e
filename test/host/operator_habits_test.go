//go:build long || e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestOnEachMachineACheckSaysWhatADeployWouldRefuse(t *testing.T) {
	onEachMachine(t, func(t *testing.T, m machine) {
		m.expect(m.check("0.0.1-dev"), "ready", 0, "0.0.1-dev can be deployed")
		m.deployed("0.0.1-dev")
		before := m.snapshot()
		history := m.output("cat $ATTA_ROOT/opt/$s/history")
		m.expect(m.check("0.0.2-dev"), "ready", 0, "0.0.2-dev can be deployed")
		m.expect(m.check("0.0.3-dev", own(".env.example", "TOKEN=\n")), "refused", deploy.ExitPreflight, ".env lacks TOKEN, which")
		missing := strings.Replace(unitOf(t, "atta.service"), "ExecStart=", "ExecStartPre=/opt/%N/current/deploy/missing.sh\nExecStart=", 1)
		m.expect(m.check("0.0.4-dev", own("systemd/atta.service", missing)), "refused", deploy.ExitPreflight, "/deploy/missing.sh is not executable")
		if !m.isPodman() { // which takes any bytes
			m.settings("A=1\nB=\xfe\xfd\n")
			m.expect(m.check("0.0.5-dev"), "refused", deploy.ExitPreflight, "docker does not take /opt/atta/.env: docker: ")
			m.output("rm $ATTA_ROOT/opt/$s/.env")
		}
		m.expect(m.check("0.0.6-dev", parameter("image-bytes", "999999999999")), "refused", deploy.ExitPreflight, "not enough room for the image: ")
		m.same(before, m.snapshot())
		m.want("cat $ATTA_ROOT/opt/$s/history", history)
		if m.engine != "" && !m.isPodman() {
			m.output("systemctl stop docker.socket docker.service")
			m.expect(m.check("0.0.2-dev"), "refused", deploy.ExitPreflight, "the Docker engine does not answer: ")
			m.output("systemctl start docker.service")
		}
		m.deployed("0.0.2-dev")
	})
}

// What an operator types, and what runbooks say.
func TestOnEachMachineCaseTheHabitsOfAnOperatorKeepWorking(t *testing.T) {
	onEachMachine(t, func(t *testing.T, m machine) {
		m.deployed("0.0.1-dev", serving(m.port))
		count := func(command string) string { return command + " 2>&1 | grep -c '^sample 0.0.1-dev' || true" }
		m.want("docker ps | grep -wc $s", "1")
		m.want("docker ps --all --format '{{.Names}}' | grep -x $s", m.service)
		m.want("systemctl status $s | grep -c 'Active: active (running)'", "1")

		// A log that is followed has what was printed before, and ends with its container.
		m.want(`f=$ATTA_ROOT/opt/followed; docker logs -f $s >$f 2>&1 & until grep -qs '^sample' $f; do sleep 0.1; done; systemctl restart $s; wait; grep -c '^sample' $f; rm $f`, "1")
		a := m.status()
		if m.expect(a, "status", 0, ""); a.Version != "0.0.1-dev" || a.Evidence != deploy.EvidenceRunning || !a.Verified || len(a.Drift) > 0 {
			t.Errorf("after a restart by hand: %+v", a.Report)
		}
		m.want(count("docker logs $s"), "1")
		m.want(count(`journalctl --quiet --no-pager --output=cat -u $s --since -1h`), "2")
		m.output("systemctl stop $s")
		m.want("docker ps --quiet", "")
		m.want(`since=@$(date +%s.%N); systemctl start $s; for i in {1..50}; do n=$(`+count(`journalctl --quiet --no-pager --output=cat -u $s --since $since`)+`); ((n == 0)) || break; sleep 0.1; done; echo $n`, "1")
		m.expect(m.deploy("0.0.1-dev", serving(m.port)), "unchanged", 0, "0.0.1-dev runs already")
	})
}

// The unit's log of the failed run is at the end of the answer, without those of earlier runs.
func TestOnEachMachineTheLogOfAFailedReleaseIsThatOfItsRun(t *testing.T) {
	onEachMachine(t, func(t *testing.T, m machine) {
		m.deployed("0.0.1-dev")
		m.output("systemctl start $s") // a run right before the deploy
		a := m.deploy("0.0.2-dev", image(sample.WithExitCode(9)))
		m.expect(a, "rolled-back", deploy.ExitUnhealthy, "0.0.1-dev is back")
		log := deploy.LogEnd(a.stdout)
		if strings.Count(log, "\nsample 0.0.2-dev\n") != 1 || strings.Contains(log, "sample 0.0.1-dev") {
			t.Errorf("the log is\n%s", log)
		}
	})
}
