//go:build !e2e

package host_test

import (
	"archive/tar"
	"os"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/test/tier"
)

// timer is a timer of that name, and other a job beside the service's own unit.
func timer(unit string) change {
	return own("systemd/"+unit+".timer", "[Timer]\nOnActiveSec=1h\n[Install]\nWantedBy=timers.target\n")
}

func other(unit, command string) change {
	return own("systemd/"+unit+".service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c '"+command+"'\n[Install]\nWantedBy=multi-user.target\n")
}

// calls writes down which units are started and stopped from here on, in order.
func (m standin) calls(do func()) []string {
	m.t.Helper()
	m.write("calls", "", 0o644)
	m.replace("systemctl", `case $1 in start | stop) echo "$1 $2" >>$ATTA_ROOT/calls ;; esac; `+m.passOn("systemctl"))
	do()
	return strings.Fields(strings.ReplaceAll(strings.ReplaceAll(m.text("calls"), "start ", "+"), "stop ", "-"))
}

func (m standin) enabled(unit string) string {
	m.t.Helper()
	return strings.TrimSpace(m.sh("systemctl is-enabled " + unit).stdout)
}

func TestAUnitOfAnotherNameIsRefused(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	image := parameter("image", m.push())
	names := []string{"atta-recover.service", "attax.service", "sshd.service", "atta-.service", "other-atta.timer", "atta-x@y.timer"}
	if tier.Sampled {
		names = names[:2]
	}
	for _, name := range names {
		m.untouched(func() {
			a := m.deploy("0.0.2-dev", image, repacked(func(b bundle.Bundle) []byte {
				return pack(t, append(entries(t, b), entry{tar.Header{Typeflag: tar.TypeReg, Name: "deploy/systemd/" + name, Mode: 0o644}, "[Service]\nType=oneshot\nExecStart=/bin/true\n"})...)
			}))
			m.expect(a, "refused", 10, "deploy/systemd/"+name+" must be called atta.timer, atta-SOMETHING.service or atta-SOMETHING.timer")
		})
		if err := os.RemoveAll(m.Path("opt/atta/releases/0.0.2-dev")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAJobThatHasATimerIsNotStartedAtBootAsWell(t *testing.T) {
	t.Parallel()
	m := boot(t)
	job := oneshot("", "echo run >>$ATTA_ROOT/runs")
	m.deployed("0.0.1-dev", job)
	m.deployed("0.0.2-dev", job, timer("atta"))
	if m.enabled("atta") != "disabled" || m.enabled("atta.timer") != "enabled" {
		t.Errorf("the job is %s, the timer %s", m.enabled("atta"), m.enabled("atta.timer"))
	}
	m.write("runs", "", 0o644)
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	if got := m.text("runs") + m.sh("systemctl is-active atta.timer").stdout; got != "active\n" {
		t.Errorf("after boot: %q", got)
	}
	m.deployed("0.0.3-dev", job)
	if m.enabled("atta") != "enabled" || m.exists("etc/systemd/system/atta.timer") {
		t.Errorf("without the timer, the job is %s", m.enabled("atta"))
	}
}

func TestAUnitThatWasEditedOnTheHostIsReplacedByTheNextRelease(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	m.write("etc/systemd/system/atta.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n", 0o600)
	m.sh("systemctl daemon-reload")
	m.deployed("0.0.2-dev")
	live := m.live()
	if unit := live["/etc/systemd/system/atta.service"]; unit[len("-rw-r--r-- "):] != live["/opt/atta/releases/0.0.2-dev/deploy/systemd/atta.service"][len("-rw-r--r-- "):] || !strings.HasPrefix(unit, "-rw-r--r-- ") {
		t.Error(unit)
	}
}

func TestAFileThatBlocksTheRecoveryIsKept(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("etc/systemd/system/atta-recover.service", "[Service]\nExecStart=/bin/sleep 600\n[Install]\nWantedBy=multi-user.target\n", 0o644)
	m.sh("systemctl daemon-reload; systemctl enable --now atta-recover")
	before := m.tree("etc")
	m.expect(m.deploy("0.0.1-dev"), "refused", 10, "/etc/systemd/system/atta-recover.service is in the way")
	m.same(before, m.tree("etc"))
	m.sh("systemctl disable --now atta-recover; rm $ATTA_ROOT/etc/systemd/system/atta-recover.service; systemctl daemon-reload")
	m.deployed("0.0.1-dev")
	m.deployed("0.0.2-dev")
}

// At boot, systemd starts the timer of a release while the recovery takes that release back.
func TestATimerThatIsStartedWhileItsReleaseGoesIsStopped(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon(), own("systemd/atta-report.timer", "[Timer]\nOnCalendar=2099-01-01\n[Install]\nWantedBy=timers.target\n"), own("systemd/atta-report.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n"))
	m.replace("systemctl", "[ \"$1:$2\" != disable:atta-report.timer ] || (set -- start atta-report.timer; "+m.passOn("systemctl")+")\n"+m.passOn("systemctl"))
	m.deployed("0.0.2-dev", daemon())
	if got := m.output("systemctl show --property=ActiveState atta-report.timer"); got != "ActiveState=inactive" {
		t.Error(got)
	}
}
