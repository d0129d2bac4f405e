//go:build !e2e

package host_test

import (
	"testing"
	"time"
)

// What waits for the end of a deploy must not miss it, however early that comes.
func TestADeployCutOffOnABusyDiskIsRolledBackByItsWatcher(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	m.wrap("ln", `case "$*" in *recover) sleep 1 ;; esac`)
	k := m.withHook()
	k.attempt("0.0.2-dev", daemon(), environment(k.before("systemctl daemon-reload")))
	m.recovered("itself")
	m.wantInstalled("0.0.1-dev", "")
	for deadline := time.Now().Add(5 * time.Minute); m.show("ActiveState") != "active"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what ran is", m.show("ActiveState"))
		}
	}
}

func TestALateDuplicateGetsTheAnswerOfTheFirst(t *testing.T) {
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

// A check, or a deploy, of an earlier release with a file that was changed on the instance is killed while it puts the files of
// the bundle back. What was verified can be rolled back to as before.
func TestAReleaseThatIsPutBackIsThereAfterAKill(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]string{
		"before the swap": `mv -T -- "$RELEASE" "$HOME_OF_SERVICE/.replaced"`,
		"in the swap":     `mv -T -- "$tree" "$RELEASE"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			m.deployed("0.0.2-dev", daemon())
			m.sh("echo '# changed' >>$ATTA_ROOT/opt/atta/releases/0.0.1-dev/deploy/systemd/atta.service")
			k := m.withHook()
			m.attempt("0.0.1-dev", daemon(), parameter("allow-downgrade", "true"), environment(k.before(at)))
			m.offline()
			m.expect(m.rollback(""), "deployed", 0, "0.0.1-dev runs")
		})
	}
}
