//go:build !e2e

package host_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestAnImageThatDoesNotFitIsRefusedBeforeItIsPulled(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	images := m.sh("docker images --digests --quiet").stdout
	m.replace("docker", "case $1 in pull) touch $ATTA_ROOT/pulled ;; esac\n"+m.passOn("docker"))
	m.untouched(func() {
		m.expect(m.check("0.0.2-dev", parameter("image-bytes", "999999999999")), "refused", 10, "not enough room for the image: ")
		a := m.deploy("0.0.2-dev", parameter("image-bytes", "999999999999"))
		m.expect(a, "refused", 10, "not enough room for the image: ")
		if !regexp.MustCompile(`var/lib/docker has [0-9]+ MB free, 3814761 MB are needed$`).MatchString(a.Message) || a.Phase != "room" {
			t.Errorf("in %s: %s", a.Phase, a.Message)
		}
	})
	if m.exists("pulled") || m.sh("docker images --digests --quiet").stdout != images {
		t.Error("something was pulled")
	}
	m.deployed("0.0.2-dev", parameter("image-bytes", "1000"))
}

func TestADiskThatIsFullWhileTheImageIsPulledLeavesWhatRuns(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev", "0.0.2-dev")
	m.write("var/lib/docker/full", "", 0o644)
	before := m.kept()
	m.untouched(func() {
		m.expect(m.deploy("0.0.3-dev"), "refused", 10, "no space left on device")
	})
	after := m.kept()
	if before["images"] != after["images"] || before["containers"] != after["containers"] {
		t.Errorf("before %q, after %q", before, after)
	}
	if err := os.Remove(m.Path("var/lib/docker/full")); err != nil {
		t.Fatal(err)
	}
	m.wantStart("0.0.2-dev")
	m.deployed("0.0.3-dev")
}

func TestAChangeThatCannotBeWrittenDownIsNotBegun(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	m.sh("ln -s /dev/full $ATTA_ROOT/opt/atta/.state.new")
	m.untouched(func() {
		m.expect(m.deploy("0.0.2-dev", daemon()), "refused", 10, "nothing was changed")
	})
	if m.exists("opt/atta/recover") || m.exists("etc/systemd/system/atta-recover.service") {
		t.Error("the deploy is still under way")
	}
	m.deployed("0.0.2-dev", daemon())
}

// The disk had an error, and the kernel has made it read-only. The log of the earlier deploy is there.
func TestAReadOnlyDiskIsTheCauseAndNotTheEndOfTheLastDeploy(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	m.write("run/command", script(m.prepare("0.0.2-dev").args), 0o755)
	a := m.readResult(m.sh(`unshare --mount sh -c 'for f in opt var; do mount --bind "$ATTA_ROOT/$f" "$ATTA_ROOT/$f" && mount -o remount,bind,ro "$ATTA_ROOT/$f" || exit; done; exec "$ATTA_ROOT/run/command"'`))
	if !strings.Contains(a.Message, "ead-only") || strings.Contains(a.Message, "0.0.1-dev") {
		t.Errorf("%s %d %s: %s\n%s", a.Outcome, a.exit, a.Reason, a.Message, a.stderr)
	}
}

// /var/log is full. Whether the release is deployed or refused for it, the last line of the last deploy is not why.
func TestAFullLogIsNotTheEndOfTheLastDeploy(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.write("run/command", script(m.prepare("0.0.2-dev", daemon()).args), 0o755)
	a := m.readResult(m.sh(`cd $ATTA_ROOT/run && mkdir log && unshare --mount sh -c '
mount -t tmpfs -o size=64k tmpfs log && tail -n 1 $ATTA_ROOT/var/log/atta-deploy.log >log/atta-deploy.log && mount --bind log $ATTA_ROOT/var/log &&
while cat log/atta-deploy.log >>log/more 2>/dev/null; do :; done
while tail -n 1 $ATTA_ROOT/var/log/atta-deploy.log | cat - >>$ATTA_ROOT/var/log/atta-deploy.log 2>/dev/null; do :; done
exec ./command'`))
	if a.Outcome != "deployed" && (strings.Contains(a.Message, "0.0.1-dev") || a.Reason != "no-space") {
		t.Errorf("%s %d %s: %s\n%s", a.Outcome, a.exit, a.Reason, a.Message, a.stderr)
	}
}

// systemd reloads nothing while less than 16 MB of /run are free, so neither the new release nor, in the rollback, the old one would be
// started: https://github.com/systemd/systemd/pull/5219
func TestAHostWhereSystemdCouldNotReloadIsRefusedBeforeItChanges(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.wrap("df", `case "$*" in */run) printf 'Avail\n8\n'; exit ;; esac`)
	m.replace("systemctl", `[ "$1" != daemon-reload ] || { echo 'Failed to reload daemon: Refusing to reload, not enough space available on /run/systemd. Currently, 8.0M are free, but a safety buffer of 16.0M is enforced.' >&2; exit 1; }
`+m.passOn("systemctl"))
	a := m.deploy("0.0.2-dev", daemon())
	if state := strings.TrimSpace(m.sh("systemctl is-active atta").stdout); a.Outcome != "refused" || state != "active" {
		t.Errorf("%s %d: %s; atta.service is %s", a.Outcome, a.exit, a.Message, state)
	}
}

// A deploy would be refused: /run is full.
func TestTheDoctorSeesThatRunIsFull(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	m.wrap("df", `case "$*" in */run) printf 'Avail\n10\n'; exit ;; esac`)
	m.expect(m.deploy("0.0.2-dev"), "refused", 10, "not enough room")
	m.expect(m.send([]string{"doctor", "--service=atta", "--region=us-east-1", "--deployment=ask"}), "refused", 10, "not enough room")
}
