//go:build !e2e

package host_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The previous release of a job with RemainAfterExit does not pass its checks in a rollback either. Its run ended with 0 before that,
// and nothing has succeeded since.
func TestAStatusAfterAFailedRollbackOfAJobThatStaysUpIsDrifted(t *testing.T) {
	t.Parallel()
	m, outage := boot(t), filepath.Join(t.TempDir(), "outage")
	stays := own("systemd/atta.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nEnvironmentFile=/opt/%N/current/release.env\n"+runsImage+"[Install]\nWantedBy=multi-user.target\n")
	checked := []change{stays, parameter("health-command", "test ! -e "+outage), parameter("health-timeout", "5"), parameter("min-healthy-time", "1")}
	m.deployed("0.0.1-dev", checked...)
	if err := os.WriteFile(outage, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m.expect(m.deploy("0.0.2-dev", checked...), "rollback-failed", 41, "")
	if a := m.ask(); a.Version != "0.0.1-dev" || !slices.Contains(a.Drift, "last-deploy") {
		t.Errorf("no run has succeeded since the rollback failed, and the status is %+v", a.Report)
	}
}
