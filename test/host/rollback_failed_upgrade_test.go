//go:build !e2e

package host_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// A rollback is the work of the scripts of a release. Those of the version before this one write no mark, and the history says how it ended.
func TestARollbackThatFailedWithTheScriptsOfAnEarlierVersionIsNotInSync(t *testing.T) {
	t.Parallel()
	m, outage := boot(t), filepath.Join(t.TempDir(), "outage")
	text, err := deploy.Files.ReadFile("lib/journal.sh")
	if err != nil {
		t.Fatal(err)
	}
	earlier := own("lib/journal.sh", regexp.MustCompile(`(?m)^.*current/unproved.*\n`).ReplaceAllString(string(text), ""))
	checked := []change{daemon(), earlier, parameter("health-command", "test ! -e "+outage), parameter("health-timeout", "3"), parameter("min-healthy-time", "1")}
	m.deployed("0.0.1-dev", checked...)
	m.deployed("0.0.2-dev", checked...)
	if err := os.WriteFile(outage, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m.expect(m.rollback(""), "rollback-failed", 41, "")
	if a := m.ask(); !slices.Contains(a.Drift, "last-deploy") {
		t.Errorf("the rollback failed, and the drift is %q: %s\n%s", a.Drift, a.Message, m.text("opt/atta/history"))
	}
}
