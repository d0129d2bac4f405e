//go:build !e2e

package host_test

import (
	"os"
	"strings"
	"testing"
)

func TestAServiceThatCrashesIsRolledBack(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	falls := own("systemd/atta.service", "[Service]\nType=exec\nEnvironmentFile=/opt/atta/current/release.env\nExecStart=/usr/bin/docker run --rm --pull=never --name=%N ${IMAGE} -sleep 0.7s -exit 7\n")
	a := m.deploy("0.0.2-dev", falls, parameter("min-healthy-time", "3"))
	m.expect(a, "rolled-back", 40, "atta.service did not stay up: result exit-code, exit status 7; 0.0.1-dev is back")
	restarts := own("systemd/atta.service", "[Service]\nType=exec\nEnvironmentFile=/opt/atta/current/release.env\nExecStart=/usr/bin/docker run --rm --pull=never --name=%N ${IMAGE} -sleep 0.7s -exit 7\nRestart=always\nRestartSec=0\n")
	m.expect(m.deploy("0.0.3-dev", restarts, parameter("min-healthy-time", "3")), "rolled-back", 40, "0.0.1-dev is back")
}

func TestAnotherEnvironmentsReleaseIsNotReplaced(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.5.0-prod")
	m.untouched(func() {
		a := m.deploy("0.6.0-dev", parameter("allow-downgrade", "true"))
		m.expect(a, "refused", 10, "0.5.0-prod runs here, which belongs to another environment")
	})
}

func TestAForeignUnitIsNotReplaced(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("etc/systemd/system/atta.service", "[Service]\nExecStart=/bin/sleep 600\n[Install]\nWantedBy=multi-user.target\n", 0o644)
	m.sh("systemctl daemon-reload; systemctl enable --now atta")
	files, unit := m.tree("etc"), m.unit()
	m.expect(m.deploy("0.0.1-dev"), "refused", 10, "atta.service was here before any release of atta")
	m.same(files, m.tree("etc"))
	m.same(unit, m.unit())
	m.sh("systemctl disable --now atta; rm $ATTA_ROOT/etc/systemd/system/atta.service; systemctl daemon-reload")
	m.deployed("0.0.1-dev")
}

func TestAUnitThatAnInterruptedFirstDeployLeftIsOurs(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	m.sh("rm $ATTA_ROOT/opt/atta/current")
	m.deployed("0.0.2-dev")
}

func TestTheLogIsForRootOnly(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	info, err := os.Stat(m.Path("var/log/atta-deploy.log"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestAnUnverifiedReleaseIsNotARollbackTarget(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	m.sh("rm $ATTA_ROOT/opt/atta/current/verified")
	m.deployed("0.0.2-dev")
	if m.exists("opt/atta/previous") {
		t.Error("0.0.1-dev became the previous release")
	}
}

// Somebody else's container is left alone, whatever it is called.
func TestAContainerThatNoDeployHasMadeIsLeftAlone(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	uri := m.output("sed -n s/^IMAGE=//p $ATTA_ROOT/opt/atta/current/release.env")
	m.output("docker create --name=atta.check " + strings.TrimSpace(uri))
	m.deploy("0.0.2-dev", daemon())
	if got := m.output("docker container inspect --format '{{.Name}}' atta.check 2>/dev/null || true"); !strings.Contains(got, "atta.check") {
		t.Errorf("the container atta.check, which no deploy has made, is gone: %q", got)
	}
}
