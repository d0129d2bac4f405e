//go:build long && !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestARollbackToAReleaseThatIsUnhealthyNowGoesBackToWhereItCameFrom(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon(), settings("ExecStartPre=/bin/sh -c 'test ! -e $ATTA_ROOT/broken'"))
	m.deployed("0.0.2-dev", daemon(), settings("ExecStartPre=/bin/sh -c 'test ! -e $ATTA_ROOT/lost'"))
	m.write("broken", "", 0o644)
	before := m.live()
	a := m.rollback("")
	m.expect(a, "rolled-back", 40, "0.0.2-dev is installed")
	m.same(before, m.live())
	if a.Unit != "active" || m.exists("opt/atta/quarantine") {
		t.Errorf("unit %s, quarantine %q", a.Unit, m.text("opt/atta/quarantine"))
	}
	m.write("lost", "", 0o644)
	a = m.rollback("")
	m.expect(a, "rollback-failed", 41, "atta.service")
	if !strings.Contains(a.Message, "the rollback to 0.0.2-dev failed: ") || strings.Count(a.Message, "atta.service") != 2 {
		t.Error(a.Message)
	}
}

func TestAnImageThatWasSeenHealthyIsNotQuarantinedByALaterRun(t *testing.T) {
	t.Parallel()
	m := boot(t)
	good := parameter("image", m.push())
	m.deployed("0.0.1-dev", good)
	m.write("opt/atta/.env", "EXIT_CODE=3\n", 0o600)
	m.sh("systemctl start atta")
	m.expect(m.deploy("0.0.1-dev", good), "rolled-back", 40, "exit status 3")
	m.expect(m.deploy("0.0.2-dev", good), "rolled-back", 40, "exit status 3")
	m.write("opt/atta/.env", "", 0o600)
	m.deployed("0.0.3-dev", good)
}

func TestNoDeployChangesTheOperatorsSettings(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("opt/atta/.env", "# mine\r\nA=1\nB= \"x\" $y \n\nGREETING=hey", 0o640)
	before := m.tree("opt/atta/.env")
	example := own(".env.example", "A=\nB=default\n")
	m.deployed("0.0.1-dev", example)
	m.deployed("0.0.2-dev", example)
	m.expect(m.deploy("0.0.3-dev", example, image(sample.WithExitCode(3))), "rolled-back", 40, "")
	m.expect(m.deploy("0.0.4-dev", own(".env.example", "C=\n")), "refused", 10, "lacks C")
	m.rollback("")
	m.same(before, m.tree("opt/atta/.env"))
	m.wantOutput("hey from 0.0.3-dev\n")
}
