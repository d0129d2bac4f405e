//go:build !e2e

package host_test

import (
	"testing"
	"time"
)

// What waits for the end of a deploy must not miss it, however early that comes.
func TestADeployThatIsCutOffOnABusyDiskIsTakenBackByItself(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	m.wrap("ln", `case "$*" in *recover) sleep 1 ;; esac`)
	k := m.withHook()
	k.attempt("0.0.2-dev", daemon(), environment(k.before("systemctl daemon-reload")))
	m.recovered("itself")
	m.wantInstalled("0.0.1-dev", "")
	for deadline := time.Now().Add(10 * time.Second); m.show("ActiveState") != "active"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what ran is", m.show("ActiveState"))
		}
	}
}

// The new release's job is at work when its deploy is cut off, for longer than anybody
// waits for it: what goes back waits on.
func TestADeployThatIsCutOffDuringALongJobIsTakenBackAfterIt(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", noted("true"), timer("atta"))
	m.wrap("sleep", `[ "$1" != 20 ] || set -- 1`)
	k := m.withHook()
	k.attempt("0.0.2-dev", oneshot("", "touch $ATTA_ROOT/begun; until test -e $ATTA_ROOT/enough; do sleep 0.1; done"), timer("atta"),
		parameter("drain-timeout", "1"), parameter("health-timeout", "1"), environment(k.before("systemctl start atta.timer")))
	m.appears("begun")
	for deadline := time.Now().Add(20 * time.Second); m.sh("grep -c 'has not ended within 1 s' $ATTA_ROOT/var/log/atta-deploy.log").stdout < "2"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody waits any more")
		}
	}
	m.write("enough", "", 0o644)
	m.recovered("itself")
	m.wantInstalled("0.0.1-dev", "")
	if got := m.sh("systemctl is-active atta.timer").stdout; got != "active\n" {
		t.Errorf("the timer is %q", got)
	}
}

func TestACopyOfACommandThatComesTooLateGetsTheFirstOnesAnswer(t *testing.T) {
	t.Parallel()
	m := boot(t)
	late := parameter("not-after", "1700000000")
	first := m.deployed("0.0.1-dev", noted("true"), parameter("deployment", "twice"))
	m.expect(m.deploy("0.0.1-dev", noted("true"), parameter("deployment", "twice"), late), "deployed", 0, first.Message)
	m.expect(m.deploy("0.0.1-dev", noted("true"), parameter("deployment", "another"), late), "refused", 50, "came too late")
	if got := m.text("journal"); got != "run\n" {
		t.Errorf("the job left %q", got)
	}
}
