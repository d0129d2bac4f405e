//go:build long && !e2e

package host_test

import (
	"strings"
	"testing"
)

// reloads makes systemctl say that the service is reloading, as long as a file says so and the service is up.
func (m standin) reloads() {
	m.t.Helper()
	m.replace("systemctl", `case "$1 $2" in "stop atta.service") rm -f $ATTA_ROOT/reloading ;; "show "*)
	test ! -e $ATTA_ROOT/reloading || { (`+m.passOn("systemctl")+`) | sed 's/^ActiveState=active$/ActiveState=reloading/'; exit 0; } ;;
esac
`+m.passOn("systemctl"))
}

// A service that reads its configuration again is up.
// https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html (ActiveState)
func TestAServiceThatReloadsIsUp(t *testing.T) {
	t.Parallel()
	t.Run("before a deploy that fails", func(t *testing.T) {
		t.Parallel()
		m := bootServing(t, "0.0.1-dev")
		m.reloads()
		m.write("reloading", "", 0o644)
		if a := m.ask(); len(a.Drift) > 0 {
			t.Errorf("drift %q", a.Drift)
		}
		a := m.deploy("0.0.2-dev", daemon(), parameter("health-command", "false"))
		m.expect(a, "rolled-back", 40, "0.0.1-dev is back")
		if a.Unit != "active" || strings.Contains(a.Message, "not running") {
			t.Errorf("unit %s: %s", a.Unit, a.Message)
		}
	})
	t.Run("while it has to stay up", func(t *testing.T) {
		t.Parallel()
		m := boot(t)
		m.reloads()
		m.deployed("0.0.1-dev", daemon(), parameter("health-command", "test -e $ATTA_ROOT/reloading || { touch $ATTA_ROOT/reloading; exit 1; }"))
	})
}
