//go:build !e2e

package host_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
)

// heldInHealth starts a deploy that is in its health phase when this returns, and ends there.
func (m standin) heldInHealth(version string) (ended <-chan answer) {
	m.t.Helper()
	answers := make(chan answer, 1)
	go func() {
		answers <- m.attempt(version, daemon(), parameter("min-healthy-time", "600"), parameter("health-timeout", "900"), parameter("deployment", "held"))
	}()
	for deadline := time.Now().Add(5 * time.Minute); !strings.Contains(m.text("opt/atta/state"), "\nREACHED=health\n"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatal("the deploy never reached its health phase")
		}
	}
	return answers
}

// A package of the agent that has no KillMode=process takes every session of a command with it.
func TestADeployIsRolledBackWhenTheWholeAgentIsKilled(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	ended := m.heldInHealth("0.0.2-dev")
	if err := m.KillAgent(); err != nil {
		t.Fatal(err)
	}
	<-ended
	m.recovered("itself")
	m.wantInstalled("0.0.1-dev", "")
	if a := m.ask("--about=held"); a.About != "rolled-back:30" || a.Busy {
		t.Errorf("%+v", a.Report)
	}
}

// Without systemd-run the one who waits has a session, and not more.
func TestAStatusTellsADeployThatWasCutOffFromOneAtWork(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	m.replace("systemd-run", "exit 1")
	ended := m.heldInHealth("0.0.2-dev")
	if a := m.ask("--about=held"); a.About != deploy.AboutUnderWay || !a.Busy || slices.Contains(a.Drift, "cut-off") {
		t.Errorf("at work: %+v", a.Report)
	}
	if err := m.KillAgent(); err != nil {
		t.Fatal(err)
	}
	<-ended
	a := m.ask("--about=held")
	if a.About != deploy.AboutCutOff || a.Busy || !slices.Contains(a.Drift, "cut-off") || !strings.Contains(a.Message, "nobody waits to roll it back") {
		t.Errorf("cut off: %+v", a.Report)
	}
	if a := m.ask("--about=another"); a.About != deploy.AboutNone {
		t.Errorf("another deployment: %q", a.About)
	}
	if got := m.byHand("status").stdout; !strings.Contains(got, "cut off        0.0.2-dev, in phase health; to roll it back: ") {
		t.Errorf("by hand:\n%s", got)
	}
	m.recovered("command")
	m.wantInstalled("0.0.1-dev", "")
}

func TestADeployWithoutAWatcherChangesNothing(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	m.replace("systemd-run", "exit 1")
	m.write("../bin/setsid", "#!/bin/sh\n", 0o755)
	m.untouched(func() {
		m.expect(m.deploy("0.0.2-dev", daemon()), "refused", 10, "nobody could be started who rolls this deploy back if it is cut off")
	})
	if m.exists("opt/atta/recover") {
		t.Error("a change is open")
	}
}

// At boot nobody waits for what is started.
func TestARollbackAtBootDoesNotSayThatTheReleaseIsBack(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	ended := m.heldInHealth("0.0.2-dev")
	m.replace("docker", "exit 1") // so it does not come up
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	<-ended
	m.recovered("boot")
	m.sh("systemctl stop atta") // or it is started again while the test ends
	history := m.text("opt/atta/history")
	if !strings.Contains(history, "0.0.1-dev is installed, and starting\"") || strings.Contains(history, "is back") {
		t.Errorf("the history says\n%s", history)
	}
}
