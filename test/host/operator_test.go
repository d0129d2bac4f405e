//go:build !e2e

package host_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestAnOperatorSeesADeployThatIsUnderWay(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", noted("true"))
	answers := make(chan answer)
	go func() {
		answers <- m.attempt("0.0.2-dev", noted("echo begun >$ATTA_ROOT/begun; until test -e $ATTA_ROOT/enough; do sleep 0.1; done"))
	}()
	m.appears("begun")
	before := m.tree("opt", "etc")
	status := m.byHand("status").stdout
	for _, line := range []string{"under way      0.0.2-dev, in phase start\n", "unit           activating (start)", "version        0.0.2-dev\n", "seen healthy   no\n"} {
		if !strings.Contains(status, line) {
			t.Errorf("no %q in\n%s", line, status)
		}
	}
	if got := m.byHand("history").stdout; strings.Count(got, "\n") != 1 || !strings.Contains(got, "deploy nothing -> 0.0.1-dev: deployed (0) in close: ") {
		t.Errorf("history:\n%s", got)
	}
	if got := m.byHand("logs").stdout; !strings.Contains(got, "0.0.2-dev: start\n") || strings.Contains(got, "0.0.1-dev: start") || !strings.Contains(got, "== journal of atta.service\n") {
		t.Errorf("logs:\n%s", got)
	}
	m.same(before, m.tree("opt", "etc"))
	m.write("enough", "", 0o644)
	m.expect(m.parse(<-answers), "deployed", 0, "0.0.2-dev")
}

func TestAnOperatorFindsOutWhyTheLastDeployFailed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	m.expect(m.deploy("0.0.2-dev", image(sample.WithExitCode(3))), "rolled-back", 40, "")
	m.expect(m.deploy("0.0.1-dev", parameter("allow-downgrade", "true")), "unchanged", 0, "")
	m.expect(m.deploy("0.0.2-dev", image(sample.WithExitCode(3))), "refused", 10, "quarantined")
	status, history, logs := m.byHand("status").stdout, m.byHand("history").stdout, m.byHand("logs 1000").stdout
	for _, part := range []string{"version        0.0.1-dev\n", "last deploy    ", "quarantined    0.0.2-dev was found unhealthy at 20"} {
		if !strings.Contains(status, part) {
			t.Errorf("no %q in\n%s", part, status)
		}
	}
	lines := strings.Split(strings.TrimSpace(history), "\n")
	if len(lines) != 4 {
		t.Fatalf("history:\n%s", history)
	}
	for i, part := range []string{"nothing -> 0.0.1-dev: deployed (0) in close", "0.0.1-dev -> 0.0.2-dev: rolled-back (40) in health: atta.service failed: ", "unchanged (0)", "refused (10) in preflight: this image is quarantined"} {
		if !strings.Contains(lines[i], part) {
			t.Errorf("no %q in %s", part, lines[i])
		}
	}
	if got := m.byHand("history 1").stdout; got != lines[3]+"\n" {
		t.Errorf("the last one is %q", got)
	}
	if !strings.Contains(logs, "quarantined") || strings.Contains(logs, "0.0.1-dev: preflight") {
		t.Errorf("logs:\n%s", logs)
	}
}

func TestAnOperatorIsToldHowToAsk(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	for _, command := range []string{"remove", "rolback", "--version"} {
		m.untouched(func() {
			a := m.byHand(command)
			if a.exit != 10 || !strings.Contains(a.stdout+a.stderr, "usage: ec2_deploy.sh 0.0.1-dev 0.0.1-dev") {
				t.Errorf("%s: %d %s %s", command, a.exit, a.stdout, a.stderr)
			}
		})
	}
}

func TestTheLogIsKeptSmall(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("var/log/atta-deploy.log", strings.Repeat("an old line\n", 400_000), 0o600)
	m.deployed("0.0.1-dev")
	m.write("var/log/atta-deploy.log", strings.Repeat("another old line\n", 300_000), 0o600)
	m.rollback("0.0.9-dev")
	for file, want := range map[string]string{"atta-deploy.log": "0.0.9-dev was never seen healthy here", "atta-deploy.log.1": "another old line"} {
		info, err := os.Stat(m.Path("var/log", file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(m.text("var/log/"+file), want) || info.Mode() != 0o600 {
			t.Errorf("%s is %v and lacks %q", file, info.Mode(), want)
		}
	}
	if m.exists("var/log/atta-deploy.log.2") || strings.Contains(m.text("var/log/atta-deploy.log"), "old line") {
		t.Error("the log has grown")
	}
}

// A program that prints its settings must not get them into what the deploys leave.
func TestAProgramsOutputIsWrittenToTheLogOnly(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("opt/atta/.env", "TOKEN=canary-7f3a\n", 0o600)
	m.deployed("0.0.1-dev")
	m.expect(m.deploy("0.0.2-dev", oneshot("EnvironmentFile=/opt/atta/.env\n", "echo $TOKEN; exit 3")), "rolled-back", 40, "")
	for _, file := range []string{"state", "history", "quarantine", "generation"} {
		if strings.Contains(m.text("opt/atta/"+file), "canary") {
			t.Errorf("%s holds the secret", file)
		}
	}
	for path := range m.tree("opt/atta", "etc", "run") {
		if text, err := os.ReadFile(m.Path(path)); err == nil && strings.Contains(string(text), "canary") && path != "/opt/atta/.env" && !strings.Contains(path, "journal") && !strings.HasPrefix(path, "/run/systemd") {
			t.Error(fmt.Sprint(path, " holds the secret"))
		}
	}
}

// The commands of docs/instance.md leave nothing but images.
func TestAServiceIsTakenOffAnInstanceAsThePageSays(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/instance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "## Take a service off an instance\n")
	_, commands, _ := strings.Cut(section, "```sh\n")
	commands, _, closed := strings.Cut(commands, "```\n")
	if !found || !closed {
		t.Fatal("the page has no such commands")
	}
	m := boot(t)
	commands = strings.NewReplacer("<service>", "atta", " /etc/", " $ATTA_ROOT/etc/", " /opt/", " $ATTA_ROOT/opt/", " /var/", " $ATTA_ROOT/var/").Replace(commands)
	m.deployed("0.0.1-dev", own("systemd/atta.timer", "[Timer]\nOnCalendar=2099-01-01\n[Install]\nWantedBy=timers.target\n"))
	m.deployed("0.0.2-dev", daemon())
	m.output(commands)
	left := m.output("ls -A $ATTA_ROOT/opt $ATTA_ROOT/etc/systemd/system; find $ATTA_ROOT/etc/systemd $ATTA_ROOT/var/log -name '*atta*'; docker ps --all --quiet")
	if strings.Contains(left, "atta") {
		t.Errorf("left are\n%s", left)
	}
	m.deployed("0.0.1-dev", daemon())
}

// Many runbooks have the operator edit IMAGE_TAG in the settings.
func TestAnOperatorWhoSetsIMAGETAGIsToldWhatChoosesTheVersion(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	const note = "note           IMAGE_TAG in /opt/atta/.env does not choose what runs; ec2_deploy.sh rollback VERSION does\n"
	if got := m.byHand("status").stdout; strings.Contains(got, "note ") {
		t.Errorf("without it, the status is\n%s", got)
	}
	m.write("opt/atta/.env", "IMAGE_TAG=0.0.0-dev\n", 0o600)
	if got := m.byHand("status").stdout; !strings.Contains(got, note) || !strings.Contains(got, "version        0.0.1-dev\n") {
		t.Errorf("the status is\n%s", got)
	}
}
