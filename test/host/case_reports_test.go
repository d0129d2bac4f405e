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
