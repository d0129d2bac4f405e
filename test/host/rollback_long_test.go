//go:build long && !e2e

package host_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestARollbackToAReleaseThatIsUnhealthyNowKeepsTheCurrentOne(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon(), settings("ExecStartPre=/bin/sh -c 'test ! -e $ATTA_ROOT/broken'"))
	m.deployed("0.0.2-dev", daemon(), settings("ExecStartPre=/bin/sh -c 'test ! -e $ATTA_ROOT/lost'"))
	m.write("broken", "", 0o644)
	before := m.live()
	a := m.rollback("")
	m.expect(a, "rolled-back", 30, "0.0.2-dev is back")
	m.same(before, m.live())
	if a.Unit != "active" || m.exists("opt/atta/quarantine") {
		t.Errorf("unit %s, quarantine %q", a.Unit, m.text("opt/atta/quarantine"))
	}
	m.write("lost", "", 0o644)
	a = m.rollback("")
	m.expect(a, "rollback-failed", 41, "atta.service")
	if !strings.Contains(a.Message, "the rollback to 0.0.2-dev failed: ") || strings.Count(a.Message, "atta.service") != 2 {
		t.Error(a.Message)
	}
}

func TestAVerifiedImageIsNotQuarantinedByALaterRun(t *testing.T) {
	t.Parallel()
	m := boot(t)
	good := parameter("image", m.push())
	m.deployed("0.0.1-dev", good)
	m.write("opt/atta/.env", "EXIT_CODE=3\n", 0o600)
	m.sh("systemctl start atta")
	m.expect(m.deploy("0.0.1-dev", good), "rollback-failed", 41, "exit status 3")
	m.expect(m.deploy("0.0.2-dev", good), "rolled-back", 40, "exit status 3")
	m.write("opt/atta/.env", "", 0o600)
	m.deployed("0.0.3-dev", good)
}

func TestNoDeployChangesTheOperatorsSettings(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("opt/atta/.env", "# mine\r\nA=1\nB= \"x\" $y \n\nGREETING=hey", 0o640)
	before := m.tree("opt/atta/.env")
	example := own(".env.example", "A=\nB=default\n")
	m.deployed("0.0.1-dev", example)
	m.deployed("0.0.2-dev", example)
	m.expect(m.deploy("0.0.3-dev", example, image(sample.WithExitCode(3))), "rolled-back", 40, "")
	m.expect(m.deploy("0.0.4-dev", own(".env.example", "C=\n")), "refused", 10, "lacks C")
	m.rollback("")
	m.same(before, m.tree("opt/atta/.env"))
	m.wantOutput("hey from 0.0.3-dev\n")
}

func TestAnUnhealthyImageIsRefusedUntilItIsAllowedAndVerified(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	bad, worse := m.push(), m.push(sample.WithEnv("WORSE", "yes"))
	m.write("opt/atta/.env", "EXIT_CODE=3\n", 0o600)
	m.expect(m.deploy("0.0.2-dev", parameter("image", bad)), "rolled-back", 40, "exit status 3")
	m.expect(m.deploy("0.0.3-dev", parameter("image", worse)), "rolled-back", 40, "exit status 3")
	for _, version := range []string{"0.0.2-dev", "0.0.4-dev"} {
		m.untouched(func() {
			a := m.deploy(version, parameter("image", bad))
			m.expect(a, "refused", 10, "this image is quarantined: 0.0.2-dev was found unhealthy at 20")
			if !regexp.MustCompile(`at 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ \(atta\.service failed: result exit-code, exit status 3\); allow-quarantined is not set$`).MatchString(a.Message) {
				t.Error(a.Message)
			}
		})
	}
	allowed := parameter("allow-quarantined", "true")
	m.expect(m.deploy("0.0.4-dev", parameter("image", bad), allowed), "rolled-back", 40, "exit status 3")
	m.write("opt/atta/.env", "EXIT_CODE=0\n", 0o600)
	m.deployed("0.0.4-dev", parameter("image", bad), allowed)
	m.deployed("0.0.5-dev", parameter("image", bad))
	m.expect(m.deploy("0.0.6-dev", parameter("image", worse)), "refused", 10, "0.0.3-dev was found unhealthy")
	if status := m.byHand("status").stdout; !strings.Contains(status, "quarantined    0.0.3-dev was found unhealthy at 20") {
		t.Error(status)
	}
}

func TestARollbackOfAServiceStartsItAndOfAJobDoesNot(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", oneshot("", "echo job >>$ATTA_ROOT/runs"))
	m.deployed("0.0.2-dev", daemon())
	m.deployed("0.0.3-dev", daemon())
	a := m.rollback("")
	m.expect(a, "deployed", 0, "0.0.2-dev runs")
	if got := m.sh("docker ps --format '{{.Image}}'").stdout; a.Unit != "active" || !strings.HasSuffix(got, "@"+a.Digest+"\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("unit %s, in containers %q", a.Unit, got)
	}
	m.expect(m.rollback(""), "deployed", 0, "0.0.1-dev is installed")
	if got := m.text("runs"); got != "job\n" || m.sh("docker ps --quiet").stdout != "" {
		t.Errorf("the job ran: %q", got)
	}
}

func TestAReleaseThatWasLeftByARollbackCanBeDeployedAgain(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	m.deployed("0.0.2-dev")
	m.rollback("")
	m.deployed("0.0.2-dev")
	m.wantInstalled("0.0.2-dev", "0.0.1-dev")
}

func TestARollbackWaitsForTheLockOfTheHost(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	m.deployed("0.0.2-dev", oneshot("", "true"))
	answers := make(chan answer)
	go func() {
		answers <- m.attempt("0.0.3-dev", parameter("deployment", "the-other"), oneshot("", "touch $ATTA_ROOT/begun; until test -e $ATTA_ROOT/enough; do sleep 0.1; done"))
	}()
	m.appears("begun")
	before := m.tree("opt", "etc")
	m.expect(m.rollback("", "ATTA_LOCK_WAIT=1"), "refused", 51, "another deploy of atta is at work on this host: the-other")
	m.same(before, m.tree("opt", "etc"))
	m.write("enough", "", 0o644)
	m.expect(m.parse(<-answers), "deployed", 0, "0.0.3-dev")
}

func TestARollbackRestoresUnitScriptAndFiles(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	before := m.live()
	for version, c := range map[string]struct {
		change  change
		message string
	}{
		"0.1.1-dev": {oneshot("", "kill -KILL $$$$"), "result signal, exit status 9"},
		"0.1.2-dev": {oneshot("TimeoutStartSec=300ms\n", "exec sleep 60"), "result timeout, exit status 15"},
		"0.1.3-dev": {oneshot("EnvironmentFile=/nowhere\n", "true"), "result resources"},
		"0.1.4-dev": {oneshot("Restart=on-failure\nRestartSec=600\n", "exit 1"), "result exit-code, exit status 1"},
		"0.1.5-dev": {own("systemd/atta.service", "[Service]\nEnvironmentFile=/opt/atta/current/release.env\nExecStart=/usr/bin/docker run --rm --pull=never --name=%N ${IMAGE} -exit 7\nType=exec\n"), "atta.service did not stay up: result exit-code, exit status 7"},
	} {
		code := deploy.ExitUnhealthy
		if strings.HasSuffix(c.message, "resources") { // nothing was started
			code = deploy.ExitStart
		}
		m.expect(m.deploy(version, c.change, own("extra.txt", "extra")), "rolled-back", code, c.message)
		m.same(before, m.live())
	}
}

// At a boot the service is only started, since to wait for it would be to wait for oneself.
func TestAStatusAfterABootThatHasRolledBackSaysWhatRuns(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon(), settings("ExecStartPre=/bin/sh -c 'test ! -e $ATTA_ROOT/broken'"))
	m.watcher(false)
	ended := m.heldInHealth("0.0.2-dev")
	if err := m.KillAgent(); err != nil {
		t.Fatal(err)
	}
	m.write("broken", "", 0o644)
	<-ended
	m.recovered("boot")
	a := m.ask("--about=held")
	if a.About != "rolled-back:30" || a.Version != "0.0.1-dev" || strings.Join(a.Drift, " ") != "inactive" {
		t.Errorf("%+v", a.Report)
	}
}
