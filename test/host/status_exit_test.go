//go:build !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// A job's nightly run fails. The action prints what a status says of it.
func TestAStatusSaysWithWhichStatusTheLastRunEnded(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	m.output("docker rm --force $s; docker run --detach --name=$s --label=service=$s $(sed -n s/^IMAGE=//p $ATTA_ROOT/opt/$s/current/release.env) -exit 3; until docker container inspect --format '{{.State.Status}}' $s | grep -q exited; do sleep 0.1; done; docker container inspect --format '{{.State.ExitCode}}' $s")
	if a := m.ask(); a.Evidence != deploy.EvidenceFailed || !strings.Contains(a.Message, "ended with exit status 3") {
		t.Errorf("%s, drift %v, %q", a.Evidence, a.Drift, a.Message)
	}
}
