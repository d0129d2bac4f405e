//go:build !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

// The image's program cannot be run. The unit's output goes to a file, so the journal does not say why.
func TestAnImageWhoseProgramIsMissingIsNotExcused(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	unit := strings.NewReplacer("RestartSec=5", "RestartSec=1", "Type=simple", "Type=simple\nStandardOutput=append:/var/log/atta.log\nStandardError=inherit").Replace(unitOf(t, "daemon.service"))
	m.replace("docker", `case "$*" in run*) case "$*" in *--label=version=0.0.2-dev*) echo 'docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nosuch": stat /nosuch: no such file or directory: unknown' >"$ATTA_ROOT/var/log/atta.log"; exit 127 ;; esac ;; esac
`+m.passOn("docker"))
	a := m.deploy("0.0.2-dev", daemon(), own("systemd/atta.service", unit), image(sample.WithVersion("0.0.2-dev")), parameter("health-timeout", "10"))
	if !strings.Contains(m.text("opt/atta/quarantine"), "0.0.2-dev") {
		t.Errorf("%s %d %s: %q; an image that cannot be run is not quarantined", a.Outcome, a.Code, a.Reason, a.Message)
	}
}

// The same in the journal, which is a moment behind.
func TestAJournalThatIsBehindExcusesNoImage(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.replace("docker", `case "$*" in run*) case "$*" in *--label=version=0.0.2-dev*) echo 'docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nosuch": stat /nosuch: no such file or directory: unknown' >&2; exit 127 ;; esac ;; esac
`+m.passOn("docker"))
	m.replace("journalctl", `case "$*" in *--lines=50*) exit ;; esac
`+m.passOn("journalctl"))
	a := m.deploy("0.0.2-dev", daemon(), parameter("health-timeout", "10"))
	if !strings.Contains(m.text("opt/atta/quarantine"), "0.0.2-dev") {
		t.Errorf("%s %d %s: %q; an image that cannot be run is not quarantined", a.Outcome, a.Code, a.Reason, a.Message)
	}
}
