//go:build !e2e

package host_test

import (
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
