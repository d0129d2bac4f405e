//go:build !e2e

package host_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kept are the releases that are here whole, by what there is of them.
func (m standin) kept() map[string]string {
	m.t.Helper()
	releases, err := os.ReadDir(m.Path("opt/atta/releases"))
	if err != nil {
		m.t.Fatal(err)
	}
	names := ""
	for _, release := range releases {
		names += release.Name() + "\n"
	}
	return map[string]string{
		"releases":   names,
		"images":     m.sh("docker images --format '{{.Tag}}' | grep -v none | sort").stdout,
		"containers": m.sh("docker ps --all --format '{{.Names}}' | sed -n s/^atta-//p | sort").stdout,
	}
}

func (m standin) wantKept(versions ...string) {
	m.t.Helper()
	want := strings.Join(versions, "\n") + "\n"
	if diff := cmp.Diff(map[string]string{"releases": want, "images": want, "containers": want}, m.kept()); diff != "" {
		m.t.Errorf("kept (-want +got):\n%s", diff)
	}
}

// wantStart starts the job, and it must be the one of that version.
func (m standin) wantStart(version string) {
	m.t.Helper()
	if a := m.sh("systemctl start atta"); a.exit != 0 {
		m.t.Errorf("%s does not start: %s", version, a.stderr)
	}
	m.wantOutput("hello from " + version + "\n")
}

func TestOldReleasesAreRemovedAndRollbackTargetsKept(t *testing.T) {
	t.Parallel()
	m := boot(t)
	for i := range 5 {
		m.deployed(fmt.Sprintf("0.0.%d-dev", i+1), parameter("keep-releases", "2"))
	}
	m.wantKept("0.0.3-dev", "0.0.4-dev", "0.0.5-dev")
	m.wantStart("0.0.5-dev")
	m.offline()
	for _, version := range []string{"0.0.4-dev", "0.0.3-dev"} {
		m.expect(m.rollback(""), "deployed", 0, version)
		m.wantStart(version)
	}
}
