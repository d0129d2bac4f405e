//go:build !e2e

package host_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// At boot nobody asks whether what a rollback installs is healthy, so it does not end the drift of the one that failed before.
func TestARollbackAtBootDoesNotHideARollbackThatFailed(t *testing.T) {
	t.Parallel()
	m, _, _ := bootRollbackFailed(t)
	ended := make(chan answer, 1)
	go func() {
		ended <- m.attempt("0.0.3-dev", daemon(), parameter("min-healthy-time", "600"), parameter("health-timeout", "900"), parameter("deployment", "held"), parameter("allow-quarantined", "true"))
	}()
	for state := ""; !strings.Contains(state, "DEPLOYMENT=held\n") || !strings.Contains(state, "\nREACHED=health\n"); time.Sleep(20 * time.Millisecond) {
		state = m.text("opt/atta/state")
	}
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	<-ended
	m.recovered("boot")
	m.sh(`until [ "$(systemctl is-active atta)" = active ]; do sleep 0.1; done`)
	if a := m.ask(); a.Version != "0.0.1-dev" || !slices.Contains(a.Drift, "last-deploy") {
		t.Errorf("no deploy and no rollback has succeeded since, the health check still fails, and the status is %+v\n%s", a.Report, m.text("opt/atta/history"))
	}
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
