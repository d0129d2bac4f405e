//go:build long && !e2e

package host_test

import (
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestAReleaseWhoseImageOrUnitIsGoneIsDeployedAgain(t *testing.T) {
	t.Parallel()
	m := boot(t)
	image := m.push()
	m.deployed("0.1.9-dev", parameter("image", image))
	m.sh("docker rmi --force $(docker images --quiet)")
	m.deployed("0.1.9-dev", parameter("image", image))
	m.write("etc/systemd/system/atta.service", "[Service]\nExecStart=/bin/true\n", 0o644)
	m.deployed("0.1.9-dev", parameter("image", image))
	m.expect(m.deploy("0.1.9-dev", parameter("image", image)), "unchanged", 0, "")
}

func TestARunningServiceIsUnchangedAndStartedAgainOnceItIsDown(t *testing.T) {
	t.Parallel()
	m := boot(t)
	if a := m.deployed("0.1.0-dev", daemon()); a.Unit != "active" {
		t.Errorf("unit %s", a.Unit)
	}
	m.untouched(func() { m.expect(m.deploy("0.1.0-dev", daemon()), "unchanged", 0, "") })
	m.sh("systemctl stop atta")
	if a := m.deployed("0.1.0-dev", daemon()); a.Unit != "active" {
		t.Errorf("unit %s", a.Unit)
	}
}

// The disk fills up at one of the steps, and stays full.
func TestAChangeWhoseJournalCannotBeWrittenRollsBack(t *testing.T) {
	t.Parallel()
	const full = "ln -sfn /dev/full $ATTA_ROOT/opt/atta/.state.new"
	for name, c := range sampleOf(map[string]struct {
		at      string // the call of systemctl
		message string
	}{
		"at the switch": {"daemon-reload", "start: "},
		"at the start":  {"start atta.service", "health: "},
		"at the end":    {"start atta.timer", "the success cannot be recorded"},
	}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			timer := own("systemd/atta.timer", "[Timer]\nOnActiveSec=1h\n[Install]\nWantedBy=timers.target\n")
			m.deployed("0.0.1-dev", daemon(), timer)
			before := m.live()
			m.replace("systemctl", `case "$*" in "`+c.at+`") `+full+` ;; esac; `+m.passOn("systemctl"))
			a := m.deploy("0.0.2-dev", daemon(), timer)
			m.expect(a, "rolled-back", 30, "0.0.1-dev is back")
			if !strings.Contains(a.Message, c.message) || a.Unit != "active" {
				t.Errorf("unit %s: %s", a.Unit, a.Message)
			}
			m.same(before, m.live())
			if m.exists("opt/atta/recover") {
				t.Error("the deploy is still under way")
			}
		})
	}
}

func TestAHistoryThatCannotBeWrittenStopsNothing(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("opt/atta/history/in-the-way", "", 0o644)
	m.deployed("0.0.1-dev")
	m.deployed("0.0.2-dev")
	m.expect(m.deploy("0.0.3-dev", oneshot("", "exit 3")), "rolled-back", 40, "0.0.2-dev is back")
	if a := m.rollback(""); a.exit != 0 || a.Version != "0.0.1-dev" {
		t.Errorf("%+v", a)
	}
	if !strings.Contains(m.text("var/log/atta-deploy.log"), "the history cannot be written") {
		t.Error("the log does not say so")
	}
}

// The new release's job is at work when its deploy is cut off, for longer than anybody
// waits for it: a rollback keeps waiting.
func TestADeployCutOffDuringALongJobRollsBackAfterTheJob(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", noted("true"), timer("atta"))
	m.wrap("sleep", `[ "$1" != 20 ] || set -- 1`)
	k := m.withHook()
	more := "ExecStart=/bin/sh -c 'touch $ATTA_ROOT/begun; until test -e $ATTA_ROOT/enough; do sleep 0.1; done'\n"
	k.attempt("0.0.2-dev", own("systemd/atta.service", runsRelease+runsImage+more), timer("atta"),
		parameter("drain-timeout", "1"), parameter("health-timeout", "1"), environment(k.before("systemctl start atta.timer")))
	m.appears("begun")
	for deadline := time.Now().Add(5 * time.Minute); m.sh("grep -c 'has not ended within 1 s' $ATTA_ROOT/var/log/atta-deploy.log").stdout < "2"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody waits any more")
		}
	}
	m.write("enough", "", 0o644)
	m.recovered("itself")
	m.wantInstalled("0.0.1-dev", "")
	if got := m.sh("systemctl is-active atta.timer").stdout; got != "active\n" {
		t.Errorf("the timer is %q", got)
	}
}

func TestAReleaseThatWasChangedOnTheHostIsUnpackedAgain(t *testing.T) {
	t.Parallel()
	m := boot(t)
	first := m.push()
	m.deployed("0.0.1-dev", parameter("image", first))
	m.deployed("0.0.2-dev")
	m.write("opt/atta/releases/0.0.1-dev/deploy/ec2_deploy.sh", "#!/bin/bash\n", 0o755)
	m.deployed("0.0.1-dev", parameter("image", first), parameter("allow-downgrade", "true"))

	m.write("opt/atta/current/deploy/ec2_deploy.sh", "#!/bin/bash\n", 0o755)
	m.untouched(func() {
		m.expect(m.deploy("0.0.1-dev", parameter("image", first)), "refused", 20, "was changed on this host, and it is what runs")
	})
}

func TestAReleaseThatCannotBeMarkedIsRolledBack(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", oneshot("", "test ! -e $ATTA_ROOT/slow || sleep 600"))
	m.write("slow", "", 0o644)
	m.sh("systemctl start --no-block atta")
	next := m.push()
	job := oneshot("", "true")
	m.expect(m.deploy("0.0.2-dev", job, parameter("image", next), parameter("drain-timeout", "0")), "refused", 51, "")
	m.sh("rm $ATTA_ROOT/slow; systemctl stop atta; mkdir $ATTA_ROOT/opt/atta/releases/0.0.2-dev/verified")
	m.expect(m.deploy("0.0.2-dev", job, parameter("image", next)), "rolled-back", 30, "0.0.1-dev is back")
}

func TestAUnitThatWasStartedTooOftenCanBeReplaced(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", oneshot("", "true"))
	m.sh("for i in 1 2 3 4 5 6 7; do systemctl start atta; done")
	m.deployed("0.0.2-dev", oneshot("", "true"))
}

func TestAJobThatWaitsForItsNextTryDoesNotBlockTheReleaseThatMendsIt(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", oneshot("Restart=on-failure\nRestartSec=600\n", "test ! -e $ATTA_ROOT/broken"))
	m.write("broken", "", 0o644)
	m.sh("timeout 2 systemctl start atta")
	if state := m.show("SubState"); state != "auto-restart" {
		t.Fatalf("the job is %s", state)
	}
	m.deployed("0.0.2-dev", parameter("drain-timeout", "2"))
}

func TestASecretInTheSettingsIsNowhereElse(t *testing.T) {
	t.Parallel()
	m := boot(t)
	const canary = "open-sesame-4711"
	m.write("opt/atta/.env", "PASSWORD="+canary+"\n", 0o600)
	outputs := []answer{m.deployed("0.1.0-dev"), m.deploy("0.1.1-dev", image(sample.WithExitCode(3))), m.status()}
	outputs = append(outputs, m.sh("$ATTA_ROOT/opt/atta/current/deploy/ec2_deploy.sh status"))
	for _, a := range outputs {
		if strings.Contains(a.stdout+a.stderr, canary) {
			t.Errorf("printed:\n%s\n%s", a.stdout, a.stderr)
		}
	}
	files := m.tree("opt", "var/log", "run", "etc", "../commands")
	maps.DeleteFunc(files, func(path, _ string) bool { return path == "/opt/atta/.env" })
	if len(files) < 10 {
		t.Fatalf("looked at %d files only", len(files))
	}
	for path := range files {
		for _, file := range []string{path, m.Path(path)} { // outside the instance's root, or in it
			if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), canary) {
				t.Error("kept in", path)
			}
		}
	}
}
