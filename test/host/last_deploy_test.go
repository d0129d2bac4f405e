//go:build !e2e

package host_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// As in TestARollbackAtBootDoesNotHideARollbackThatFailed, after a step that has printed a long line: a message has 600 characters, and
// what was restored comes last.
func TestARollbackAtBootWithALongMessageDoesNotHideARollbackThatFailed(t *testing.T) {
	t.Parallel()
	m, _, _ := bootRollbackFailed(t)
	ended := make(chan answer, 1)
	unit := strings.NewReplacer("RestartSec=5", "RestartSec=30", "Restart=always", "ExecStartPre=/bin/sh -c 'echo "+strings.Repeat("no such device; ", 45)+"; exit 1'\nRestart=always").Replace(unitOf(t, "daemon.service"))
	unit = strings.ReplaceAll(unit, "device; ", "device, ")
	go func() {
		ended <- m.attempt("0.0.3-dev", daemon(), own("systemd/atta.service", unit), parameter("deployment", "held"), parameter("allow-quarantined", "true"))
	}()
	for state := ""; !strings.Contains(state, "DEPLOYMENT=held\n") || !strings.Contains(state, "\nCODE=30\n"); time.Sleep(5 * time.Millisecond) {
		state = m.text("opt/atta/state")
	}
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	<-ended
	m.recovered("boot")
	m.sh(`until [ "$(docker container inspect --format '{{.State.Status}}' atta 2>/dev/null)" = running ]; do sleep 0.1; done`)
	if a := m.ask(); a.Version != "0.0.1-dev" || !slices.Contains(a.Drift, "last-deploy") {
		t.Errorf("no deploy and no rollback has succeeded since, the health check still fails, and the status is %+v\n%s", a.Report, m.text("opt/atta/history"))
	}
}

// A rollback to a service that was down does not ask whether it is healthy.
func TestARollbackToAServiceThatWasDownDoesNotHideARollbackThatFailed(t *testing.T) {
	t.Parallel()
	m, _, _ := bootRollbackFailed(t)
	m.output("systemctl stop atta")
	a := m.deploy("0.0.3-dev", daemon(), parameter("health-command", "false"), parameter("health-timeout", "3"), parameter("allow-quarantined", "true"))
	m.expect(a, "rolled-back", 40, "it was not running before")
	m.output("systemctl start atta")
	if a := m.ask(); a.Version != "0.0.1-dev" || !slices.Contains(a.Drift, "last-deploy") {
		t.Errorf("no deploy and no rollback that checks health has succeeded since, the health check still fails, and the status is %v %q\n%s", a.Drift, a.Message, m.text("opt/atta/history"))
	}
}
