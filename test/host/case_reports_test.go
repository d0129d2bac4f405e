//go:build !e2e

package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// A command sees the environment of the agent, and so neither HOME nor what /etc/environment sets for logins, such as a proxy:
// https://github.com/aws/amazon-ssm-agent/issues/427, https://github.com/aprin-labs/archimedes/pull/426
func TestCaseAProxyThatOnlyLoginsKnowIsNamed(t *testing.T) {
	t.Parallel()
	const proxy = "https_proxy=http://proxy.example:3128"
	m := bootServing(t, "0.1.0-dev")
	m.write("etc/environment", "PATH=/usr/bin\n# "+proxy+"\n", 0o644)
	m.deployed("0.1.1-dev", daemon(), parameter("health-command", `[ -z "${HOME:-}" ]`))
	aws := m.awsWithKeys()
	m.replace("aws", `[ -n "$https_proxy" ] || { echo 'fatal error: Could not connect to the endpoint URL: "https://bucket.s3.us-east-1.amazonaws.com/key"' >&2; exit 1; }`+"\n"+aws)
	m.untouched(func() {
		a := m.deploy("0.1.2-dev", daemon())
		m.expect(a, "refused", deploy.ExitPreflight, `cannot be downloaded, or has more than 32 MB: fatal error: Could not connect to the endpoint URL: "https://bucket.s3.us-east-1.amazonaws.com/key"`)
		if len(a.Message) == 0 || a.Message[len(a.Message)-1] != '"' {
			t.Errorf("a proxy is named that is not set: %s", a.Message)
		}
	})
	m.write("etc/environment", "PATH=/usr/bin\nHTTPS_PROXY=\"http://ada:secret@proxy.example:3128\"\n", 0o644)
	m.untouched(func() {
		a := m.deploy("0.1.3-dev", daemon())
		m.expect(a, "refused", deploy.ExitPreflight, "; a command of SSM does not see the proxy in /etc/environment: set it in drop-ins of the units of the agent and of Docker")
	})
	m.deployed("0.1.4-dev", daemon(), env(proxy))
}

// PID 1 of a container gets no signal that it does not handle, so a script without exec ignores SIGTERM:
// https://github.com/timhaak/docker-couchpotato/issues/5
func TestCaseAContainerThatIgnoresSIGTERMIsReplaced(t *testing.T) {
	t.Parallel()
	m := boot(t)
	unit, err := deploy.Files.ReadFile("systemd/daemon.service")
	program := filepath.Join(t.TempDir(), "deaf")
	if err := errors.Join(err, os.WriteFile(program, []byte("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.2; done\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	deaf := func(a *attempt) { a.program = program }
	short := own("systemd/atta.service", strings.Replace(string(unit), "TimeoutStopSec=90", "TimeoutStopSec=1", 1))
	m.deployed("0.1.0-dev", short, deaf)
	pid := m.output("docker inspect --format '{{.State.Pid}}' $s")
	m.deployed("0.1.1-dev", short, deaf)
	m.want("kill -0 "+pid+" 2>/dev/null && echo alive; docker ps --quiet | wc -l; cat $ATTA_ROOT/opt/$s/quarantine 2>/dev/null || true", "1")
}

// Units and settings work with the line ends of Windows: https://github.com/AcademySoftwareFoundation/OpenColorIO/pull/1139
func TestCaseUnitsAndSettingsMayHaveTheLineEndsOfWindows(t *testing.T) {
	t.Parallel()
	m := boot(t)
	crlf := func(file, text string) change { return own(file, strings.ReplaceAll(text, "\n", "\r\n")) }
	m.deployed("0.1.0-dev", crlf("systemd/atta.service", unitWith(t, "Nice=1")), crlf("docker.env", "DOCKER_ARGS=--env=GREETING=crlf\n"), crlf(".env.example", "A=1\n"))
	m.want("cat $ATTA_ROOT/opt/$s/output/greeting.txt", "crlf from 0.1.0-dev")
}

// A service that systemd does not start at boot is up until the instance is stopped and started:
// https://github.com/GlobalEmergency/ResponseGrid/pull/88, https://github.com/coreos/bugs/issues/224
func TestCaseAServiceThatABootDoesNotStartIsNamed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	text, _, _ := strings.Cut(unitOf(t, "daemon.service"), "[Install]")
	a := m.deploy("0.1.0-dev", daemon(), own("systemd/atta.service", text))
	if !strings.Contains(a.Message, "[Install]") { // refused, or deployed with a warning
		t.Errorf("%s: %q", a.Outcome, a.Message)
	}
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	t.Logf("after the boot: %s, drift %v", m.status().Unit, m.status().Drift)

	// The same with the built-in unit, which somebody has disabled.
	m = boot(t)
	m.deployed("0.1.0-dev", daemon())
	m.sh("systemctl disable atta")
	if s := m.status(); len(s.Drift) == 0 {
		t.Errorf("a service that a boot will not start is in sync: %q", s.Message)
	}
}

// A release has no login when it is started, so a unit that pulls fails with "no basic auth credentials", at the latest at a boot:
// https://github.com/aws/amazon-vpc-cni-k8s/issues/1217
func TestCaseAUnitThatPullsItsImageIsRefused(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.1.0-dev")
	unit := unitOf(t, "daemon.service")
	m.untouched(func() {
		for version, changes := range map[string][]change{
			"0.1.1-dev": {daemon(), own("systemd/atta.service", strings.Replace(unit, "--pull=never", "--pull=always", 1))},
			"0.1.2-dev": {daemon(), own("systemd/atta.service", strings.Replace(unit, "ExecStart=/usr", "ExecStartPre=/usr/bin/docker pull ${IMAGE}\nExecStart=/usr", 1))},
			"0.1.3-dev": {daemon(), own("docker.env", "DOCKER_ARGS=--pull=always\n")},
		} {
			if a := m.deploy(version, changes...); a.Outcome != "refused" || !strings.Contains(a.Message, "pull") {
				t.Errorf("%s: %s %d: %s", version, a.Outcome, a.Code, a.Message)
			}
		}
	})
}

// The clock of the instance is wrong, so that AWS refuses each of its requests: https://github.com/EngineerBetter/control-tower/issues/51
// S3 does not say why in its answer to a HEAD.
func TestCaseAClockThatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.replace("aws", `case "$*" in
*get-caller-identity*) echo "
An error occurred (SignatureDoesNotMatch) when calling the GetCallerIdentity operation: Signature expired: 20191029T154623Z is now earlier than 20191029T163344Z (20191029T164844Z - 15 min.)" >&2; exit 254 ;;
s3*|*" s3 "*) echo "fatal error: An error occurred (403) when calling the HeadObject operation: Forbidden" >&2; exit 1 ;;
esac
echo "
An error occurred (InvalidSignatureException) when calling the operation: Signature expired: 20191029T154623Z is now earlier than 20191029T163344Z (20191029T164844Z - 15 min.)" >&2; exit 254
`)
	a := m.send([]string{"doctor", "--service=atta", "--deployment=ask", "--region=us-east-1"})
	if a.Outcome == "ready" || !strings.Contains(a.Message, "clock") {
		t.Errorf("doctor: %s, %q", a.Outcome, a.Message)
	}
	m.untouched(func() {
		a := m.deploy("0.1.1-dev")
		if a.Reason != deploy.ReasonBundleUnavailable || !strings.Contains(a.Message, "clock") {
			t.Errorf("deploy: %s %s, %q", a.Outcome, a.Reason, a.Message)
		}
	})
}

// STS answers that the credentials are not valid, so nothing can be downloaded: that is not a host that is ready, whose STS
// was not reached. https://github.com/aws/amazon-ssm-agent/issues/526
func TestCaseADoctorIsNotReadyWithCredentialsThatAWSRefuses(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.write("root/.aws/credentials", "[default]\n", 0o600)
	m.replace("aws", strings.Replace(m.awsWithKeys(), " AWS_ACCESS_KEY_ID=", " AWS_ACCESS_KEY_ID=AKIAOLD", 1))
	a := m.send([]string{"doctor", "--service=atta", "--deployment=ask", "--region=us-east-1"})
	if a.Outcome == "ready" {
		t.Errorf("%q", a.Message)
	}
}
