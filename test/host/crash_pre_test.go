//go:build !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

// The program ends at once, and systemd starts the unit again, whose ExecStartPre= takes a while. Since version 243 systemd forgets
// ExecMainStartTimestamp when a unit is started, also again (service_start: exec_status_reset).
func TestAProgramThatCrashesIsToBlameAlsoWhileItsUnitIsStartedAgain(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.replace("systemctl", `[ "$1" = show ] || `+m.passOn("systemctl")+`
text=$("`+m.Path("..", "bin", "systemctl.own")+`" "$@") || exit
case $text in *SubState=start-pre*) text=$(printf '%s\n' "$text" | sed 's/^ExecMainStartTimestampMonotonic=.*/ExecMainStartTimestampMonotonic=0/') ;; esac
printf '%s\n' "$text"`)
	m.write("../bin/systemctl.own", "#!/bin/sh\n"+m.passOn("systemctl")+"\n", 0o755)
	unit := strings.NewReplacer("RestartSec=5", "RestartSec=0", "Restart=always", "ExecStartPre=/bin/sleep 2\nRestart=always").Replace(unitOf(t, "daemon.service"))
	a := m.deploy("0.0.2-dev", own("systemd/atta.service", unit), image(sample.WithExitCode(3)), parameter("health-timeout", "20"), parameter("min-healthy-time", "3"))
	m.expect(a, "rolled-back", 40, "")
	if strings.Contains(a.Message, "the container was never started") || !strings.Contains(m.text("opt/atta/quarantine"), "0.0.2-dev") {
		t.Errorf("%q, quarantined: %q", a.Message, m.text("opt/atta/quarantine"))
	}
}
