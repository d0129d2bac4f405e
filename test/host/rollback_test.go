//go:build !e2e

package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/test/tier"
)

// oneshot is a unit whose job is a shell command.
// oneshot makes the release a job that runs a command, and then the image.
func oneshot(settings, command string) change {
	return own("systemd/atta.service", jobUnit(settings, command))
}

func jobUnit(settings, command string) string {
	return "[Service]\nType=oneshot\nEnvironmentFile=/opt/atta/current/release.env\n" + settings + runsImage + "ExecStart=/bin/sh -c '" + command + "'\n[Install]\nWantedBy=multi-user.target\n"
}

// runsImage are the lines of a unit that run the release's image where a deploy can see it.
const runsImage = "ExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=/usr/bin/docker run --pull=never --name=%N ${IMAGE}\n"

// The SSM agent gives 168, 169 and 194 a meaning of their own, and takes 137 for a timeout.
func TestAFailedJobIsRolledBack(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("opt/atta/.env", "GREETING=good day\n", 0o600)
	m.deployed("0.0.1-dev")
	m.deployed("0.0.2-dev")
	before, images := m.live(), m.sh("docker images --digests | grep -w 0.0.2-dev").stdout
	codes := []int{194, 1, 137, 168, 169}
	if tier.Sampled {
		codes = codes[:2]
	}
	for i, code := range codes {
		a := m.deploy(fmt.Sprintf("0.1.%d-dev", i), image(sample.WithExitCode(code)))
		m.expect(a, "rolled-back", 40, fmt.Sprintf("atta.service failed: result exit-code, exit status %d; 0.0.2-dev is back", code))
		if a.Phase != "health" || a.Version != "0.0.2-dev" || a.Before != "0.0.2-dev" || a.Exit != code || !a.Verified {
			t.Errorf("%+v", a.Report)
		}
		if !strings.Contains(a.stdout, fmt.Sprintf("done, exit %d", code)) {
			t.Errorf("the job's own words are missing:\n%s", a.stdout)
		}
		m.same(before, m.live())
	}
	if after := m.sh("docker images --digests | grep -w 0.0.2-dev").stdout; after != images || images == "" {
		t.Errorf("image before %q, after %q", images, after)
	}
	if a := m.sh("systemctl start atta"); a.exit != 0 {
		t.Errorf("what is back does not start: %s", a.stderr)
	}
	m.wantOutput("good day from 0.0.2-dev\n")
}

func TestAServiceIsStartedAgainByARollback(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	a := m.deploy("0.0.2-dev", image(sample.WithExitCode(1)))
	m.expect(a, "rolled-back", 40, "0.0.1-dev is back")
	if a.Unit != "active" {
		t.Error("unit", a.Unit)
	}
}

func TestAStartWithoutARunIsRolledBack(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	before := m.live()
	unit := "[Unit]\nConditionPathExists=/nowhere\n[Service]\nType=oneshot\nExecStart=/bin/true --name=%N ${IMAGE}\n"
	m.expect(m.deploy("0.0.2-dev", own("systemd/atta.service", unit)), "rolled-back", 30, "made no new run")
	m.same(before, m.live())
}

func TestAFailedStepIsRolledBack(t *testing.T) {
	t.Parallel()
	for name, c := range sampleOf(map[string]struct{ script, message string }{
		"stop":   {"case $1 in stop) test -e $ATTA_ROOT/once || { touch $ATTA_ROOT/once; exit 194; } ;; esac", "stop: 'systemctl stop atta.service' ended with 194"},
		"switch": {"case $1 in daemon-reload) test -e $ATTA_ROOT/once || { touch $ATTA_ROOT/once; exit 194; } ;; esac", "switch: 'systemctl daemon-reload' ended with 194"},
		"enable": {"case $1 in enable) test -e $ATTA_ROOT/once || { touch $ATTA_ROOT/once; exit 137; } ;; esac", "switch: 'systemctl enable atta.service' ended with 137"},
	}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := bootServing(t, "0.0.1-dev")
			m.sh("systemctl disable atta")
			before := m.live()
			m.replace("systemctl", c.script+"\n"+m.passOn("systemctl"))
			m.expect(m.deploy("0.0.2-dev"), "rolled-back", 30, c.message)
			m.same(before, m.live())
		})
	}
}

func TestTheFirstReleaseEverFailsAndLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	m := boot(t)
	a := m.deploy("0.0.1-dev", image(sample.WithExitCode(3)))
	m.expect(a, "rolled-back", 40, "exit status 3; nothing, as before, is installed")
	if a.Version != "" || a.Digest != "" || a.Verified {
		t.Errorf("%+v", a.Report)
	}
	if files := m.tree("etc/systemd", "opt/atta/current", "opt/atta/previous"); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	if state := m.show("LoadState"); state != "not-found" {
		t.Error("the unit is", state)
	}
	if left := m.sh("docker ps --all --quiet").stdout; left != "" {
		t.Error("containers:", left)
	}
	m.deployed("0.0.2-dev")
}

func TestTheFirstReleaseEverFailsBeforeItsUnitIsThere(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("etc/systemd/system/atta.service.new/in-the-way", "", 0o644)
	a := m.deploy("0.0.1-dev")
	m.expect(a, "rolled-back", 30, "nothing, as before, is installed")
	if m.exists("opt/atta/current") || m.exists("etc/systemd/system/atta.service") {
		t.Error("something was installed")
	}
}

func TestABlockedRollbackIsReported(t *testing.T) {
	t.Parallel()
	for name, block := range sampleOf(map[string]string{
		"unit folder":   "mkdir -p $ATTA_ROOT/etc/systemd/system/atta.service.new",
		"systemd":       "touch $ATTA_ROOT/blocked",
		"release moved": "mv $ATTA_ROOT/opt/atta/releases/0.0.1-dev/deploy $ATTA_ROOT/opt/atta/away",
	}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := bootDeployed(t, "0.0.1-dev")
			m.replace("systemctl", "case $1 in daemon-reload) test ! -e $ATTA_ROOT/blocked || exit 194 ;; esac\n"+m.passOn("systemctl"))
			a := m.deploy("0.0.2-dev", oneshot("", block+"; exit 3"))
			m.expect(a, "rollback-failed", 41, "exit status 3; the rollback to 0.0.1-dev failed")
		})
	}
}

func TestAFullDiskUnderTheLogDoesNotStopTheRollback(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	before := m.live()
	m.expect(m.deploy("0.0.2-dev", oneshot("", "exit 3")), "rolled-back", 40, "exit status 3")
	m.sh("ln -sf /dev/full $ATTA_ROOT/var/log/atta-deploy.log")
	again := m.read("$ATTA_ROOT/opt/atta/releases/0.0.2-dev/deploy/ec2_deploy.sh 0.0.2-dev 0.0.2-dev", "ATTA_ALLOW_QUARANTINED=true")
	m.expect(again, "rolled-back", 40, "exit status 3")
	m.same(before, m.live())
}

// systemd does not answer when the release is stopped in the rollback.
func TestAReleaseThatCannotBeStoppedIsUp(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.replace("systemctl", "[ \"$1:$2\" != stop:atta.service ] || [ ! -e $ATTA_ROOT/unhealthy ] || { echo 'Failed to stop atta.service: Connection timed out' >&2; exit 1; }\n"+m.passOn("systemctl"))
	a := m.deploy("0.0.2-dev", daemon(), parameter("health-command", "touch "+m.Path("unhealthy")+"; exit 7"), parameter("health-timeout", "3"), parameter("min-healthy-time", "1"))
	m.expect(a, "rollback-failed", 41, "")
	if a.Version != "0.0.2-dev" || a.Unit != "active" || a.Reason != "unhealthy" {
		t.Errorf("%+v", a.Report)
	}
}
