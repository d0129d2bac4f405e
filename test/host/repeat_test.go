//go:build !e2e

package host_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestACommandThatComesTwiceIsCarriedOutOnceAndAnsweredTwice(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	job := "echo run >>$ATTA_ROOT/runs; "
	for version, c := range map[string]struct {
		end     string
		outcome deploy.Outcome
		code    deploy.ExitCode
	}{
		"0.0.2-dev": {"exit 3", "rolled-back", 40},
		"0.0.3-dev": {"true", "deployed", 0},
	} {
		m.write("runs", "", 0o644)
		same := []change{parameter("deployment", "id-of-"+strings.ReplaceAll(version, ".", "-")), oneshot("", job+c.end), parameter("allow-downgrade", "true")}
		first := m.deploy(version, same...)
		m.expect(first, c.outcome, c.code, "")
		history := m.text("opt/atta/history")
		m.untouched(func() {
			second := m.deploy(version, same...)
			m.expect(second, c.outcome, c.code, "")
			if resultLine(second) != resultLine(first) {
				t.Errorf("the second answer is %q, the first was %q", second.stdout, first.stdout)
			}
		})
		if runs := m.text("runs"); runs != "run\n" || m.text("opt/atta/history") != history {
			t.Errorf("%s ran %q", version, runs)
		}
	}
}

func TestTheCopyOfACommandAtWorkWaitsForItAndAnswersTheSame(t *testing.T) {
	t.Parallel()
	m := boot(t)
	answers := make(chan answer)
	send := func() {
		answers <- m.attempt("0.0.1-dev", parameter("deployment", "once"), env("ATTA_LOCK_WAIT=1"),
			oneshot("", "echo run >>$ATTA_ROOT/runs; sleep 3"))
	}
	go send()
	m.appears("runs")
	go send()
	first, second := m.parse(<-answers), m.parse(<-answers)
	m.expect(first, "deployed", 0, "")
	m.expect(second, "deployed", 0, "")
	if first.stdout != second.stdout || m.text("runs") != "run\n" {
		t.Errorf("answers %q and %q, ran %q", first.stdout, second.stdout, m.text("runs"))
	}
}

func TestACommandThatComesAgainAfterAnotherIsNotCarriedOut(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", parameter("deployment", "first"))
	m.deployed("0.0.2-dev")
	before := m.tree("opt")
	m.untouched(func() {
		a := m.deploy("0.0.1-dev", parameter("deployment", "first"), parameter("allow-downgrade", "true"))
		m.expect(a, "refused", 50, "ran before, and others after it")
		if a.Version != "0.0.2-dev" {
			t.Errorf("%+v", a.Report)
		}
	})
	m.same(before, m.tree("opt"))
}

// A command that was refused before anything was looked at may be sent again.
func TestTheIDOfACommandThatWasStaleIsNotUsedUp(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.expect(m.deploy("0.0.1-dev", parameter("deployment", "again"), parameter("not-after", "1700000000")), "refused", 50, "")
	m.deployed("0.0.1-dev", parameter("deployment", "again"))
}

func TestAGenerationOnlyRises(t *testing.T) {
	t.Parallel()
	m := boot(t)
	generation := func(n string) change { return parameter("generation", n) }
	if a := m.deployed("0.0.1-dev", generation("9")); a.Generation != 9 {
		t.Errorf("%+v", a.Report)
	}
	before := m.tree("opt")
	m.untouched(func() {
		a := m.deploy("0.0.2-dev", generation("8"))
		m.expect(a, "refused", 50, "the command is of generation 8, and this host has seen 9; it was not run")
		if a.Generation != 9 || a.Version != "0.0.1-dev" {
			t.Errorf("%+v", a.Report)
		}
	})
	m.same(before, m.tree("opt"))
	if a := m.deployed("0.0.2-dev", generation("9")); a.Generation != 9 {
		t.Errorf("%+v", a.Report)
	}
	if a := m.deploy("0.0.3-dev", generation("10"), image(sample.WithExitCode(3))); a.exit != 40 || a.Generation != 10 {
		t.Errorf("%+v", a.Report)
	}
	if a := m.deployed("0.0.4-dev"); a.Generation != 10 {
		t.Errorf("without a generation: %+v", a.Report)
	}
	m.expect(m.deploy("0.0.5-dev", generation("9")), "refused", 50, "this host has seen 10")
}

// resultLine is the first line of an answer; after a failure, the end of the log follows it.
func resultLine(a answer) string {
	line, _, _ := strings.Cut(a.stdout, "\n")
	return line
}

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
