//go:build !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// A timer that counts from runs alone is active, enabled and elapsed after a boot:
// https://github.com/danielmiessler/LifeOS/issues/1880, https://github.com/systemd/systemd/issues/6680
func TestCaseATimerThatNoBootStartsIsRefused(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	timer := func(settings string) change {
		return own("systemd/atta.timer", "[Timer]\n"+settings+"\n[Install]\nWantedBy=timers.target\n")
	}
	for version, settings := range map[string]string{"0.1.1-dev": "OnUnitActiveSec=1h", "0.1.2-dev": "OnUnitInactiveSec=1h\nOnBootSec="} {
		m.untouched(func() {
			a := m.deploy(version, timer(settings), parameter("run-on-deploy", "false"))
			if m.expect(a, "refused", deploy.ExitPreflight, "deploy/systemd/atta.timer elapses only relative to an earlier run"); a.Reason != deploy.ReasonUnitInvalid {
				t.Errorf("reason %s", a.Reason)
			}
		})
	}
	m.deployed("0.1.3-dev", timer("OnUnitActiveSec=1h\nOnBootSec=10min"))
}

// systemd takes a unit with settings that it does not know, without them: https://github.com/systemd/systemd/issues/27540
func TestCaseSettingsThatSystemdIgnoresAreNamed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	a := m.deployed("0.1.0-dev", own("systemd/atta.service", unitWith(t, "MemoryMx=512M")))
	if !strings.Contains(a.Message, "; systemd warnings: atta.service:12: Unknown key 'MemoryMx'") {
		t.Error(a.Message)
	}
	if a := m.deployed("0.1.1-dev"); strings.Contains(a.Message, "systemd warnings") {
		t.Error(a.Message)
	}
	m.untouched(func() {
		a := m.deploy("0.1.2-dev", own("docker.env", "# more\nexport DOCKER_ARGS=--publish=80:80\n"))
		m.expect(a, "refused", deploy.ExitPreflight, "deploy/docker.env, line 2: systemd takes only KEY=value: remove export")
	})
}

// 137 alone does not say that the memory was used up: https://github.com/aws/amazon-ecs-agent/issues/334
func TestCaseAContainerWithoutMemoryIsNamed(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.1.0-dev")
	m.replace("docker", `case "$*" in events*event=oom*) cat $ATTA_ROOT/oom; exit ;; esac`+"\n"+m.passOn("docker"))
	killed := daemon(sample.WithCmd("-sleep", "0s"), sample.WithExitCode(137))
	m.write("oom", "atta-other\n", 0o644)
	a := m.deploy("0.1.1-dev", killed)
	m.expect(a, "rolled-back", deploy.ExitUnhealthy, "did not stay up: result exit-code, exit status 137; 0.1.0-dev is back")
	m.write("oom", "atta\n", 0o644)
	a = m.deploy("0.1.2-dev", killed, parameter("allow-quarantined", "true"))
	m.expect(a, "rolled-back", deploy.ExitUnhealthy, "exit status 137; the kernel killed a process in the container: out of memory (OOM); 0.1.0-dev is back")
}

// An old CLI on a new Python prints warnings with each answer: https://github.com/aws/aws-cli/issues/8547
func TestCaseWarningsOfTheCLIAreNoAnswer(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.setParameter("GREETING", "hi")
	m.write("warnings", strings.Repeat("/usr/lib/python3/dist-packages/botocore/credentials.py:82: SyntaxWarning: invalid escape sequence\n  r = compile('x')\n", 9), 0o644)
	m.replace("aws", `cat "$ATTA_ROOT/warnings" >&2`+"\n"+m.awsWithKeys())
	doctor := func(path string) answer {
		return m.send([]string{"doctor", "--service=atta", "--deployment=ask", "--region=us-east-1", "--settings-from=/" + m.name + path})
	}
	m.expect(doctor("/dev/"), "ready", 0, "credentials of arn:aws:iam::123456789012:user/runner, 1 parameters in /")
	m.expect(doctor("/dev"), "ready", 0, ", 1 parameters in /"+m.name+"/dev")
	m.expect(doctor("/none/"), "refused", deploy.ExitPreflight, "there is no parameter directly below /"+m.name+"/none/")
	m.deployed("0.1.1-dev", m.fromParameters())
}

func TestATimerOfASecondUnitThatAnotherTimerStartsIsTaken(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev",
		own("systemd/atta.timer", "[Timer]\nOnBootSec=5min\n[Install]\nWantedBy=timers.target\n"),
		own("systemd/atta-often.timer", "[Timer]\nOnUnitInactiveSec=1min\nUnit=atta.service\n[Install]\nWantedBy=timers.target\n"))
}

func TestATimerThatResetsItsListIsRefused(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.expect(m.deploy("0.0.1-dev",
		own("systemd/atta.timer", "[Timer]\nOnBootSec=5min\nOnUnitActiveSec=\nOnUnitActiveSec=1h\n[Install]\nWantedBy=timers.target\n")), "refused", 10, "elapses only relative to an earlier run")
}

func TestATimerThatNothingEnablesIsRefused(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.expect(m.deploy("0.0.1-dev",
		own("systemd/atta.timer", "[Timer]\nOnCalendar=daily\n")), "refused", 10, "Install")
}

// systemd does not read this docker.env: the release's own unit has no EnvironmentFile= for it, and starts a script that does.
func TestAnExportIsTakenWhereSystemdDoesNotReadIt(t *testing.T) {
	t.Parallel()
	m := boot(t)
	for _, line := range []string{"LEVEL=1\n", "export LEVEL=1\n"} {
		version := map[bool]string{true: "0.0.1-dev", false: "0.0.2-dev"}[line == "LEVEL=1\n"]
		m.deployed(version, oneshot("", "true"), own("docker.env", line))
	}
}
