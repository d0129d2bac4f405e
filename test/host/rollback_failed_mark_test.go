//go:build !e2e

package host_test

import (
	"slices"
	"strings"
	"testing"
)

// A service whose container stays when it has ended is stopped and started again. That a service has ended with 0 says nothing about its
// health checks, which still fail.
func TestStoppingAServiceDoesNotHideARollbackThatFailed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	keeps := own("systemd/atta.service", strings.NewReplacer("run --rm ", "run ", "ExecStopPost=", "# ").Replace(unitOf(t, "daemon.service")))
	checked := []change{daemon(), keeps, parameter("health-command", "test ! -e $ATTA_ROOT/outage"), parameter("health-timeout", "3"), parameter("min-healthy-time", "1")}
	m.deployed("0.0.1-dev", checked...)
	m.write("outage", "", 0o644)
	m.expect(m.deploy("0.0.2-dev", checked...), "rollback-failed", 41, "")
	if a := m.ask(); !slices.Contains(a.Drift, "last-deploy") {
		t.Fatalf("the status is %v", a.Drift)
	}
	m.output("systemctl stop atta")
	m.ask()
	m.output("systemctl start atta")
	m.sh(`until [ "$(docker container inspect --format '{{.State.Status}}' atta 2>/dev/null)" = running ]; do sleep 0.1; done`)
	if a := m.ask(); a.Version != "0.0.1-dev" || !slices.Contains(a.Drift, "last-deploy") {
		t.Errorf("no deploy and no rollback has succeeded since, the health check still fails, and the drift is %v: %s", a.Drift, a.Message)
	}
}
