//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// Somebody else's container is left alone, whatever it is called.
func TestAContainerThatNoDeployHasMadeIsLeftAlone(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	uri := m.output("sed -n s/^IMAGE=//p $ATTA_ROOT/opt/atta/current/release.env")
	m.output("docker create --name=atta.check " + strings.TrimSpace(uri))
	m.deploy("0.0.2-dev", daemon())
	if got := m.output("docker container inspect --format '{{.Name}}' atta.check 2>/dev/null || true"); !strings.Contains(got, "atta.check") {
		t.Errorf("the container atta.check, which no deploy has made, is gone: %q", got)
	}
}
