//go:build !e2e

package host_test

import (
	"github.com/org/atta-deploy-action/deploy"
	"slices"
	"strings"
	"testing"
)

func TestACheckSaysWhatADeployWouldRefuse(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	m.untouched(func() {
		m.expect(m.check("0.0.2-dev", daemon()), "ready", 0, "0.0.2-dev can be deployed")
		m.expect(m.check("0.0.2-dev", daemon(), own(".env.example", "TOKEN=\n")), "refused", 20, "a version is never reused")
		m.expect(m.check("0.0.3-dev", daemon(), own(".env.example", "TOKEN=\n")), "refused", 10, "lacks TOKEN")
		m.expect(m.check("0.0.4-dev", own("systemd/atta.service", "[Service]\nExecStart=/bin/true\n")), "refused", 10, "does not run ${IMAGE}")
		m.replace("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
		m.expect(m.check("0.0.5-dev", daemon()), "refused", 10, "the Docker engine does not answer")
		m.replace("docker", m.passOn("docker"))
	})
	if text := m.text("opt/atta/history"); strings.Contains(text, "d-check") {
		t.Errorf("a check is in the history:\n%s", text)
	}
	m.deployed("0.0.2-dev", daemon(), parameter("deployment", "d"))
}

// A bundle of an earlier version of this action, or a script of the repository's own.
func TestAScriptWithoutACheckIsNotStartedByOne(t *testing.T) {
	t.Parallel()
	m := boot(t)
	script := own("ec2_deploy.sh", "#!/bin/bash\ntouch $ATTA_ROOT/started\n")
	if a := m.check("0.0.1-dev", script); a.Outcome != deploy.OutcomeReady || a.exit != 0 || m.exists("started") {
		t.Errorf("exit %d, started %t: %+v", a.exit, m.exists("started"), a.Report)
	}
}

func TestADoctorSaysWhatTheHostLacks(t *testing.T) {
	t.Parallel()
	m := boot(t)
	examine := func() answer {
		return m.send([]string{"doctor", "--service=atta", "--deployment=d-doctor", "--region=us-east-1"})
	}
	m.untouched(func() {
		m.expect(examine(), "ready", 0, "ready for a deploy: ")
		m.replace("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
		m.expect(examine(), "refused", 10, "the Docker engine does not answer")
		m.replace("docker", "case $1 in info) echo '/x [name=rootless] []'; exit ;; esac\n"+m.passOn("docker"))
		m.expect(examine(), "refused", 10, "runs without root here")
		m.replace("docker", m.passOn("docker"))
	})
	if m.exists("opt/atta") || m.exists("var/log/atta-deploy.log") {
		t.Error("a doctor has left files")
	}
	m.deployed("0.0.1-dev")
	m.sh("chmod 0777 $ATTA_ROOT/opt/atta")
	m.expect(examine(), "refused", 10, "others may write to it")
	m.sh("chmod 0755 $ATTA_ROOT/opt/atta")
	m.replace("aws", "echo 'Unable to locate credentials' >&2; exit 253")
	m.expect(examine(), "refused", 10, "this host has no credentials to download with: Unable to locate credentials")
}

// What a check, or a deploy that is refused or fails, was sent with says nothing about the release that is there.
func TestARollbackIsJudgedByTheChecksOfTheDeployThatSucceeded(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.write("opt/atta/.env", "LEVEL=1\n", 0o600)
	others := []change{daemon(), parameter("health-command", "exit 7"), parameter("health-timeout", "3"), parameter("min-healthy-time", "1")}
	m.untouched(func() {
		m.expect(m.check("0.0.1-dev", others...), "ready", 0, "")
		m.expect(m.deploy("0.0.1-dev", append(others, parameter("allow-env-file", "false"))...), "refused", 10, "LEVEL")
	})
	m.expect(m.deploy("0.0.1-dev", others...), "rolled-back", 40, "health-command ended with 7; 0.0.1-dev is back")
	if status := m.status(); !status.Verified || len(status.Drift) > 0 {
		t.Errorf("the status is %+v", status.Report)
	}
	m.expect(m.deploy("0.0.2-dev", daemon(), parameter("health-command", "exit 1"), parameter("health-timeout", "3")), "rolled-back", 40, "0.0.1-dev is back")
}

// A command may be killed at any point: the run is cancelled, or its time is over.
func TestACommandThatIsKilledKeepsTheChecksOfTheRelease(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"check", "deploy"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			m.replace("docker", "touch $ATTA_ROOT/asked; sleep 1000")
			a := m.prepare("0.0.1-dev", daemon(), parameter("health-command", "exit 7"), parameter("health-timeout", "3"))
			ended := make(chan answer, 1)
			go func() { ended <- m.sh(script(slices.Insert(a.args[1:], 0, command))) }()
			m.appears("asked")
			if err := m.KillAgent(); err != nil {
				t.Fatal(err)
			}
			<-ended
			m.replace("docker", m.passOn("docker"))
			m.expect(m.deploy("0.0.2-dev", daemon(), parameter("health-command", "exit 1"), parameter("health-timeout", "3")), "rolled-back", 40, "0.0.1-dev is back")
			m.expect(m.deploy("0.0.1-dev", daemon(), parameter("health-command", "exit 0")), "unchanged", 0, "")
			if got := m.text("opt/atta/releases/0.0.1-dev/rollout.env"); !strings.Contains(got, "HEALTH_COMMAND=exit 0\n") || m.exists("opt/atta/.rollout.kept") {
				t.Errorf("the rollout settings are\n%s", got)
			}
		})
	}
}

func TestADeployThatIsKilledAtItsEndHasItsOwnChecks(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	k := m.withHook()
	m.attempt("0.0.1-dev", daemon(), parameter("health-command", "exit 0"), environment(k.before(`rm -f -- "$ROOT/opt/$SERVICE/.rollout.kept"`)))
	if !m.exists("opt/atta/.rollout.kept") {
		t.Fatal("the deploy was not killed")
	}
	m.status()
	m.expect(m.deploy("0.0.2-dev", daemon(), parameter("health-command", "exit 1"), parameter("health-timeout", "3")), "rolled-back", 40, "0.0.1-dev is back")
	if got := m.text("opt/atta/releases/0.0.1-dev/rollout.env"); !strings.Contains(got, "HEALTH_COMMAND=exit 0\n") || m.exists("opt/atta/.rollout.kept") {
		t.Errorf("the rollout settings are\n%s", got)
	}
}

// What a deploy was sent with that was killed says nothing about the release, also to the operator in a shell.
func TestARollbackByHandAfterAKillIsJudgedByTheChecksOfTheRelease(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.deployed("0.0.2-dev", daemon())
	m.replace("docker", "touch $ATTA_ROOT/asked; sleep 1000")
	a := m.prepare("0.0.1-dev", daemon(), parameter("allow-downgrade", "true"), parameter("health-command", "exit 7"), parameter("health-timeout", "3"), parameter("min-healthy-time", "1"))
	ended := make(chan answer, 1)
	go func() { ended <- m.sh(script(slices.Insert(a.args[1:], 0, "deploy"))) }()
	m.appears("asked")
	if err := m.KillAgent(); err != nil {
		t.Fatal(err)
	}
	<-ended
	m.replace("docker", m.passOn("docker"))
	if kept := m.text("opt/atta/.rollout.kept"); !strings.Contains(kept, " 0.0.1-dev\n") {
		t.Fatalf("nothing is kept: %s", kept)
	}
	m.expect(m.rollback(""), "deployed", 0, "0.0.1-dev runs")
}

func TestACheckOfThePreviousReleaseLeavesTheRollbackToIt(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.deployed("0.0.2-dev", daemon())
	m.write("opt/atta/releases/0.0.1-dev/deploy/note", "by hand\n", 0o644)
	m.check("0.0.1-dev", daemon(), parameter("allow-downgrade", "true"))
	m.expect(m.rollback(""), "deployed", 0, "0.0.1-dev runs")
}

// The disk is full (here: the file cannot be written) when a deploy that has failed puts the checks of the release back.
func TestChecksThatCannotBeRestoredAreKeptForTheNextCommand(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	fails := []change{daemon(), parameter("health-timeout", "3"), parameter("min-healthy-time", "1")}
	m.expect(m.deploy("0.0.1-dev", append(fails, parameter("health-command", "mkdir -p "+m.Path("opt/atta/.rollout.new")+"; exit 7"))...), "rolled-back", 40, "0.0.1-dev is back")
	m.output("rmdir $ATTA_ROOT/opt/atta/.rollout.new")
	m.expect(m.deploy("0.0.2-dev", append(fails, parameter("health-command", "exit 1"))...), "rolled-back", 40, "0.0.1-dev is back")
}

// The disk was full while an earlier result was written: its line has no end.
func TestAResultAfterALineThatWasCutIsItsOwn(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.sh(`printf '2026-01-01T00:00:00Z deploy {"v":1,"deployment":"d-old","service":"atta","outcome":"rolled-back","code":40,"reas' >>$ATTA_ROOT/opt/atta/history`)
	m.deployed("0.0.2-dev", daemon(), parameter("deployment", "d-new"))
	a := m.send([]string{"status", "--service=atta", "--deployment=d-new", "--about=d-new"})
	if a.About != "deployed:0" {
		t.Errorf("asked about d-new, the host says %q", a.About)
	}
}

// The line of the last change itself was cut; its journal has its end.
func TestAResultWhoseLineWasCutIsThatOfTheJournal(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.deployed("0.0.2-dev", daemon(), parameter("deployment", "d-new"))
	m.output(`cd $ATTA_ROOT/opt/atta && sed -i '$ s/"outcome".*//' history && truncate -s -1 history && tail -n 1 history`)
	a := m.send([]string{"status", "--service=atta", "--deployment=d-new", "--about=d-new"})
	if a.About != "deployed:0" {
		t.Errorf("asked about d-new, the host says %q", a.About)
	}
}

// Docker's client reads the settings before it asks for the image, which a check has not pulled.
func TestACheckAsksDockerForTheSettings(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	m.output("printf 'A=1\\nB=\\376\\375\\n' >$ATTA_ROOT/opt/atta/.env")
	m.expect(m.check("0.0.2-dev"), "refused", 10, "docker does not take /opt/atta/.env: docker: ")
}

// The parameters are read by docker, too: here it is as if it did not take them.
func TestDockerIsAskedForTheParametersAsWell(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.setParameter("GREETING", "hi")
	m.deployed("0.0.1-dev", m.fromParameters())
	m.replace("docker", `case "$1:$*" in create:*settings*) echo "docker: invalid env file (settings)" >&2; exit 125 ;; esac
`+m.passOn("docker"))
	m.expect(m.check("0.0.2-dev", m.fromParameters()), "refused", 10, "invalid env file (settings)")
}

// The engine does not answer the first question.
func TestAnEngineThatDoesNotAnswerIsNotAFaultOfTheSettings(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	m.replace("docker", `case "$*" in create*localhost/none*) test -e "$ATTA_ROOT/asked" || { : >"$ATTA_ROOT/asked"; echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2; exit 1; } ;; esac
`+m.passOn("docker"))
	if a := m.deploy("0.0.2-dev"); a.Outcome != "deployed" && (a.Reason == "settings-invalid" || strings.Contains(a.Message, ".env")) {
		t.Errorf("%s %d %s: %s", a.Outcome, a.exit, a.Reason, a.Message)
	}
}

// A deploy is killed when docker has been asked with the settings. They are in no container but the one that runs.
func TestTheContainerThatKeepsAnImageHasNoSettingsAfterAKill(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.write("opt/atta/.env", "TOKEN=canary-7f3a\n", 0o600)
	k := m.withHook()
	m.attempt("0.0.2-dev", daemon(), environment(k.before(`docker tag "$IMAGE" "${IMAGE%@*}:$IMAGE_TAG"`)))
	m.deployed("0.0.2-dev", daemon())
	if others := m.output("docker ps --all --format '{{.Names}}' | grep -vx atta | xargs docker container inspect --format '{{.Name}} {{.Config.Env}}'"); !strings.Contains(others, "atta-0.0.2-dev") || strings.Contains(others, "canary") {
		t.Errorf("containers that stay: %s", others)
	}
}
