//go:build !e2e

package host_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// A HEALTHCHECK with `curl -f`, without -s, prints its progress first, and why it failed last:
// https://github.com/BetterBahn/betterbahn/issues/100
func TestCaseWhyAHealthcheckFailedIsNotLostBehindItsProgress(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.1.0-dev")
	const meter = `  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0`
	const why = "curl: (7) Failed to connect to localhost port 3000 after 0 ms: Could not connect to server"
	output := filepath.Join(t.TempDir(), "curl")
	text := "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n" +
		"                                 Dload  Upload   Total   Spent    Left  Speed\n" +
		"\r" + meter + "\r" + meter + "\n" + why + "\n"
	program := filepath.Join(t.TempDir(), "app")
	script := "#!/bin/sh\n[ \"$1\" = check ] || exec sleep 600\ncat " + output + " >&2\nexit 7\n"
	for path, text := range map[string]string{output: text, program: script} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a := m.deploy("0.1.1-dev", daemon(sample.WithHealthCheck("check")), func(a *attempt) { a.program = program }, parameter("health-timeout", "8"))
	m.expect(a, "rolled-back", deploy.ExitUnhealthy, "by its HEALTHCHECK; its last check ended with 7: ")
	if !strings.Contains(a.Message, why) {
		t.Errorf("the message does not say why: %s", a.Message)
	}
}

// Something else answers where the health check asks: https://github.com/arniesaha/agentweave/pull/252
func TestCaseAnAnswerOfSomethingElseIsNotTheReleases(t *testing.T) {
	t.Parallel()
	m := boot(t)
	old := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer old.Close()
	// The program listens on another port, and publishes none.
	a := m.deploy("0.1.0-dev", daemon(), parameter("health-url", old.URL+"/health"))
	t.Logf("%s %d %q", a.Outcome, a.exit, a.Message)
	if a.exit == 0 && !strings.Contains(a.Message, "answer") {
		t.Errorf("a release that serves nothing at its health-url is %s without a word: %q", a.Outcome, a.Message)
	}
	// The program wants that port, and cannot have it.
	_, port, _ := strings.Cut(strings.TrimPrefix(old.URL, "http://"), ":")
	a = m.deploy("0.1.1-dev", serving(port))
	t.Logf("%s %d %q", a.Outcome, a.exit, a.Message)
}

// Where Docker's client ends with 125, podman's ends with 126 if it cannot start what it has created, as for a port that is taken:
// https://github.com/containers/podman/blob/v4.3.1/libpod/define/exec_codes.go (ExitCode), https://github.com/Shippable/support/issues/4092
func TestCaseAPortThatIsTakenIsNotTheImagesFaultWithPodman(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.1.0-dev")
	m.replace("docker", `case "$*" in run*--publish=80:80*) echo "Error: cannot listen on the TCP port: listen tcp4 :80: bind: address already in use" >&2; exit 126 ;; esac
`+m.passOn("docker"))
	a := m.deploy("0.1.1-dev", daemon(), own("docker.env", "DOCKER_ARGS=--publish=80:80\n"))
	m.want("cat $ATTA_ROOT/opt/$s/quarantine 2>/dev/null || true", "")
	m.expect(a, "rolled-back", deploy.ExitStart, "address already in use")
}
