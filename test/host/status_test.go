//go:build !e2e

package host_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
)

func TestStatusOfAHostThatHasNothing(t *testing.T) {
	t.Parallel()
	m := boot(t)
	before := m.tree("")
	m.expect(m.status(), "absent", 0, "no release of atta is installed")
	m.same(before, m.tree(""))
}

func TestStatusSaysWhatRuns(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	deployed := m.deployed("0.0.2-dev")
	m.untouched(func() {
		a := m.status()
		m.expect(a, "status", 0, "atta is installed")
		if a.Deployment != "ask" || a.Version != "0.0.2-dev" || a.Digest != deployed.Digest || !a.Verified || a.Unit != "inactive" {
			t.Errorf("%+v", a.Report)
		}
		people := m.sh("$ATTA_ROOT/opt/atta/current/deploy/ec2_deploy.sh status").stdout
		for _, line := range []string{
			"service        atta\n", "version        0.0.2-dev\n", "seen healthy   20", "@" + deployed.Digest + "\n",
			"unit           inactive (dead), last run: result success, exit status 0\n", "and ended with exit status 0\n", "roll back to   0.0.1-dev\n",
			"deploy 0.0.1-dev -> 0.0.2-dev: deployed (0) in close: 0.0.2-dev ran and succeeded\n",
		} {
			if !strings.Contains(people, line) {
				t.Errorf("no %q in\n%s", line, people)
			}
		}
	})
}

// ask sends the command that only asks, with more parameters.
func (m standin) ask(more ...string) answer {
	m.t.Helper()
	return m.send(append([]string{"status", "--service=atta", "--deployment=ask"}, more...))
}

// The last change is in the journal as well.
func TestStatusReportsTheOutcomeOfADeploymentThatIsNotInTheHistory(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.sh("mkdir -p $ATTA_ROOT/opt/atta/history")
	m.deployed("0.0.1-dev", parameter("deployment", "good"))
	if a := m.ask("--about=good"); a.About != "deployed:0" {
		t.Errorf("about a deploy that succeeded: %q", a.About)
	}
	m.expect(m.deploy("0.0.2-dev", parameter("deployment", "bad"), oneshot("", "exit 3")), "rolled-back", 40, "")
	if a := m.ask("--about=bad"); a.About != "rolled-back:40" {
		t.Errorf("about one that failed: %q", a.About)
	}
}

func TestStatusReportsTheOutcomeOfADeployment(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", parameter("deployment", "good"))
	m.deployed("0.0.2-dev", parameter("deployment", "better"))
	m.expect(m.deploy("0.0.3-dev", parameter("deployment", "bad"), oneshot("", "exit 3")), "rolled-back", 40, "")
	for about, want := range map[string]string{"good": "deployed:0", "better": "deployed:0", "bad": "rolled-back:40", "ba": "none", "later": "none"} {
		if a := m.ask("--about=" + about); a.About != want {
			t.Errorf("about %s: %q, want %q", about, a.About, want)
		}
	}
	a := m.ask()
	if a.About != "" || a.Previous != "0.0.1-dev" || !slices.Equal(a.Releases, []string{"0.0.2-dev", "0.0.1-dev"}) || a.Drift == nil || len(a.Drift) > 0 {
		t.Errorf("%+v", a.Report)
	}
	if now := time.Now().Unix(); a.Time < now-60 || a.Time > now || a.Since < now-600 || a.Since > now {
		t.Errorf("since %d, at %d, and it is %d", a.Since, a.Time, now)
	}
}

func TestADeployThatIsStillAtWorkIsUnderWay(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", parameter("deployment", "first"))
	answers := make(chan answer)
	go func() {
		answers <- m.attempt("0.0.2-dev", parameter("deployment", "second"), oneshot("", "touch $ATTA_ROOT/begun; until test -e $ATTA_ROOT/enough; do sleep 0.1; done"))
	}()
	m.appears("begun")
	for about, want := range map[string]string{"first": "deployed:0", "second": "under-way"} {
		if a := m.ask("--about="+about, "--generation=9"); a.About != want || !a.Busy {
			t.Errorf("about %s: %+v", about, a.Report)
		}
	}
	m.write("enough", "", 0o644)
	m.expect(m.parse(<-answers), "deployed", 0, "0.0.2-dev")
	if got := m.text("opt/atta/generation"); got != "9\n" {
		t.Errorf("the generation is %q", got)
	}
}

// The question of a later run closes the door to the commands of those before.
func TestAQuestionOfALaterGenerationRefusesEarlierCommands(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.ask("--about=lost")
	if m.exists("opt/atta") {
		t.Error("a host that has never had the service has a trace of the question")
	}
	m.ask("--generation=3")
	m.expect(m.deploy("0.0.1-dev", parameter("generation", "2")), "refused", 50, "this host has seen 3")
	m.deployed("0.0.1-dev", parameter("generation", "3"))
	m.untouched(func() {
		if a := m.ask("--generation=5"); a.Generation != 3 {
			t.Errorf("the host had seen 3 and says %d", a.Generation)
		}
	})
	m.ask("--generation=4")
	m.expect(m.deploy("0.0.2-dev", parameter("generation", "4")), "refused", 50, "this host has seen 5")
}

func TestDriftIsNamed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	wants := func(drift ...string) {
		t.Helper()
		if a := m.ask(); !slices.Equal(a.Drift, drift) {
			t.Errorf("drift is %q, want %q", a.Drift, drift)
		}
	}
	m.deployed("0.0.1-dev", oneshot("", "true"), own("systemd/atta.timer", "[Timer]\nOnCalendar=2099-01-01\n[Install]\nWantedBy=timers.target\n"))
	wants()
	m.sh("systemctl stop atta.timer")
	wants("timer")
	m.deployed("0.0.2-dev", daemon())
	wants()
	m.sh("systemctl stop atta")
	wants("inactive")
	m.sh("systemctl start atta; echo '# mine' >>$ATTA_ROOT/etc/systemd/system/atta.service")
	wants("unit-file")
	m.deployed("0.0.3-dev", daemon())
	m.replace("docker", "[ \"$1 $2\" != 'container inspect' ] || exit 1\n"+m.passOn("docker"))
	wants("container")
	m.replace("docker", "[ $1 != image ] || exit 1\n"+m.passOn("docker"))
	wants("image")
}

func TestARepeatedRollbackCommandRollsBackOnce(t *testing.T) {
	t.Parallel()
	m := boot(t)
	rollback := func(id string, more ...string) answer {
		return m.send(append([]string{"rollback", "--service=atta", "--deployment=" + id, "--not-after=" + fmt.Sprint(time.Now().Add(time.Hour).Unix())}, more...))
	}
	m.untouched(func() { m.expect(rollback("none"), "refused", 10, "no release of atta is installed here") })
	m.deployed("0.0.1-dev")
	m.deployed("0.0.2-dev")
	m.deployed("0.0.3-dev", parameter("generation", "7"))
	m.offline()
	m.untouched(func() {
		m.expect(rollback("stale", "--generation=6"), "refused", 50, "this host has seen 7")
		m.expect(rollback("unknown", "--version=0.0.9-dev"), "refused", 10, "0.0.9-dev was never seen healthy here")
	})
	a := rollback("back", "--generation=7")
	m.expect(a, "deployed", 0, "0.0.2-dev is installed")
	if a.Deployment != "back" || a.Version != "0.0.2-dev" || a.Wanted != "0.0.2-dev" || a.Before != "0.0.3-dev" || !a.Verified {
		t.Errorf("%+v", a.Report)
	}
	m.untouched(func() { m.expect(rollback("back", "--generation=7"), "deployed", 0, "0.0.2-dev is installed") })
	m.wantInstalled("0.0.2-dev", "0.0.1-dev")
	m.expect(rollback("forth", "--version=0.0.3-dev"), "deployed", 0, "0.0.3-dev is installed")
	m.wantInstalled("0.0.3-dev", "0.0.2-dev")
	if a := m.ask("--about=back"); a.About != "deployed:0" || !strings.Contains(m.text("opt/atta/history"), " rollback {") {
		t.Errorf("%q, history\n%s", a.About, m.text("opt/atta/history"))
	}
}

func TestTheScriptExplainsItself(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	script := "$ATTA_ROOT/opt/atta/current/deploy/ec2_deploy.sh "
	for _, help := range []string{"", "--help", "-h"} {
		a := m.sh(script + help)
		if a.exit != 0 || !strings.HasPrefix(a.stdout, "ec2_deploy.sh: makes") || !strings.Contains(a.stdout, "  51  a job or another deploy") || strings.Contains(a.stdout, "set -e") {
			t.Errorf("%s: %d\n%s", help, a.exit, a.stdout)
		}
	}
	for _, arguments := range []string{"0.0.2-dev 0.0.2-dev", "0.0.1-dev", "0.0.1-dev latest", "0.0.1-dev 0.0.1-dev more"} {
		m.untouched(func() { m.expect(m.read(script+arguments), "refused", 10, "usage: ec2_deploy.sh 0.0.1-dev 0.0.1-dev") })
	}
}

func TestAHostThatCannotWriteItsGenerationSaysWhy(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	m.sh("ln -s /dev/full $ATTA_ROOT/opt/atta/.generation.new")
	for _, a := range []answer{m.ask("--generation=9"), m.deploy("0.0.2-dev", parameter("generation", "9"))} {
		if m.expect(a, "refused", 10, "the generation cannot be written to "); a.Reason != deploy.ReasonNoSpace || !strings.HasSuffix(a.Message, ": No space left on device") {
			t.Errorf("%s: %s", a.Reason, a.Message)
		}
	}
}

func TestAStatusThatEndsEarlySaysWhere(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	m.write("../bin/install", "#!/bin/sh\nexit 3\n", 0o755)
	m.expect(m.ask("--generation=9"), "refused", 10, `'install -d -m 0700 "$RUN"' ended with 3`)
}

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
