//go:build !e2e

package host_test

import (
	"strings"
	"testing"
	"time"
)

// A command, or an operator, waits for a job, its runner dies, and a later run asks the host: it
// stops before it changes anything.
func TestADeployThatWaitedForAJobStopsWhenALaterRunHasBegun(t *testing.T) {
	t.Parallel()
	m := boot(t)
	waits := oneshot("", "test ! -e $ATTA_ROOT/slow || until test -e $ATTA_ROOT/enough; do sleep 0.1; done")
	m.deployed("0.0.1-dev", waits, parameter("generation", "1"))
	m.deployed("0.0.2-dev", waits, parameter("generation", "1"))
	for _, c := range []struct {
		start func() answer
		later string
	}{
		{func() answer { return m.attempt("0.0.3-dev", parameter("generation", "2")) }, "3"},
		{func() answer { return m.byHand("rollback") }, "4"},
	} {
		m.sh("rm -f $ATTA_ROOT/enough; touch $ATTA_ROOT/slow; systemctl start --no-block atta")
		answers := make(chan answer)
		go func() { answers <- c.start() }()
		for deadline := time.Now().Add(time.Minute); !strings.Contains(m.text("opt/atta/state"), "REACHED=drain\nOUTCOME=\n"); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it does not wait for the job")
			}
		}
		if a := m.ask("--generation=" + c.later); !a.Busy {
			t.Errorf("%+v", a.Report)
		}
		m.write("enough", "", 0o644)
		a := m.parse(<-answers)
		m.expect(a, "refused", 50, "a later run, of generation "+c.later+", has started since; nothing was changed")
		if a.Version != "0.0.2-dev" || a.Reason != "stale" {
			t.Errorf("%+v", a.Report)
		}
	}
}
