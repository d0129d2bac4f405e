//go:build !e2e

package host_test

import (
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

// The rollback to a job failed once, another release was deployed since, and a later rollback to the job succeeds. The last rollback has
// not failed.
func TestARollbackToAJobAfterAnEarlierOneFailedIsInSync(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	m.replace("docker", `case "$*" in "image inspect"*) grep -q '^REACHED=health' "$ATTA_ROOT/opt/atta/state" 2>/dev/null && test -e "$ATTA_ROOT/outage" && exit 1 ;; esac
`+m.passOn("docker"))
	m.write("outage", "", 0o644)
	m.expect(m.deploy("0.0.2-dev", image(sample.WithExitCode(3))), "rollback-failed", 41, "")
	m.output("rm $ATTA_ROOT/outage")
	m.deployed("0.0.3-dev")
	if a := m.ask(); len(a.Drift) > 0 {
		t.Fatalf("drift %q", a.Drift)
	}
	m.expect(m.rollback("0.0.1-dev"), "deployed", 0, "0.0.1-dev is installed")
	if a := m.ask(); len(a.Drift) > 0 {
		t.Errorf("the last rollback succeeded, and the drift is %q\n%s", a.Drift, m.text("opt/atta/history"))
	}
}
