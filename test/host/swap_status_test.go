//go:build !e2e

package host_test

import (
	"slices"
	"testing"
)

// A check, or a deploy, of an earlier release is killed in the swap of its files. A run that rolls back first asks what there is to
// roll back to.
func TestAStatusKnowsAReleaseWhoseFilesWereBeingReplaced(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.deployed("0.0.2-dev", daemon())
	m.sh("echo '# changed' >>$ATTA_ROOT/opt/atta/releases/0.0.1-dev/deploy/systemd/atta.service")
	k := m.withHook()
	m.attempt("0.0.1-dev", daemon(), parameter("allow-downgrade", "true"), environment(k.before(`mv -T -- "$tree" "$RELEASE"`)))
	if a := m.ask(); a.Previous != "0.0.1-dev" || !slices.Contains(a.Releases, "0.0.1-dev") {
		t.Errorf("previous %q, releases %q: the run refuses the rollback", a.Previous, a.Releases)
	}
}
