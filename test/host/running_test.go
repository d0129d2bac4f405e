//go:build !e2e

package host_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestAJobStillAtWorkWhenTheTimeIsOverIsNotVerified(t *testing.T) {
	t.Parallel()
	m := boot(t)
	a := m.deployed("0.0.1-dev", image(sample.WithCmd("-sleep", "60s")), parameter("health-timeout", "1"))
	if a.Unit != "activating" || a.Evidence != deploy.EvidenceAtWork || a.Verified || m.show("ActiveState") != "activating" {
		t.Errorf("%+v", a.Report)
	}
	a = m.deploy("0.0.2-dev", image(sample.WithCmd("-sleep", "60s")), parameter("health-timeout", "1"), parameter("on-running", "kill"), parameter("health-command", "false"))
	m.expect(a, "rolled-back", 40, "health-command ended with 1; 0.0.1-dev is back")
	m.sh("systemctl stop atta")
}

func TestAJobInFlightIsWaitedFor(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", oneshot("", "test ! -e $ATTA_ROOT/slow || sleep 2; echo ended >>$ATTA_ROOT/journal"))
	m.write("slow", "", 0o644)
	m.sh("systemctl start --no-block atta")
	m.deployed("0.0.2-dev", oneshot("", "echo new >>$ATTA_ROOT/journal"))
	if got := m.sh("cat $ATTA_ROOT/journal").stdout; got != "ended\nended\nnew\n" {
		t.Errorf("the jobs left %q", got)
	}
}

func TestAJobThatDoesNotEndKeepsItsRelease(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", image(sample.WithCmd("-sleep", "60s")), parameter("health-timeout", "1"))
	m.untouched(func() {
		a := m.deploy("0.0.2-dev", parameter("drain-timeout", "1"))
		m.expect(a, "refused", 51, "a run of atta.service has not ended within 1 s; nothing was changed")
		if a.Unit != "activating" || a.Version != "0.0.1-dev" {
			t.Errorf("%+v", a.Report)
		}
	})
	m.sh("systemctl stop atta")
	a := m.read("$ATTA_ROOT/opt/atta/releases/0.0.2-dev/deploy/ec2_deploy.sh 0.0.2-dev 0.0.2-dev")
	m.expect(a, "deployed", 0, "0.0.2-dev ran and succeeded")
	if !strings.HasPrefix(a.Deployment, "by-hand-") {
		t.Errorf("deployment %s", a.Deployment)
	}
}

// What systemd does after the job, such as removing its container, is part of the run.
func TestAJobThatIsJustEndingIsNotTakenForAFailure(t *testing.T) {
	t.Parallel()
	m := boot(t)
	begin := time.Now()
	m.deployed("0.0.1-dev", oneshot("ExecStopPost=/bin/sleep 2\n", "true"))
	if took := time.Since(begin); took < 2*time.Second {
		t.Errorf("deployed after %v", took)
	}
}
