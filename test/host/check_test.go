//go:build !e2e

package host_test

import (
	"slices"
	"strings"
	"testing"
)

// check sends the preflight of a deploy alone.
func (m standin) check(version string, changes ...change) answer {
	m.t.Helper()
	a := m.prepare(version, append(changes, parameter("deployment", "d-check"))...)
	a.args = slices.Insert(a.args[1:], 0, "check")
	return m.send(a.args, a.env...)
}

func TestACheckSaysWhatADeployWouldRefuse(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	m.untouched(func() {
		m.expect(m.check("0.0.2-dev", daemon()), "ready", 0, "0.0.2-dev can be deployed")
		if text := m.text("opt/atta/history"); strings.Contains(text, "d-check") {
			t.Errorf("a check that found nothing is in the history:\n%s", text)
		}
		m.expect(m.check("0.0.2-dev", daemon(), own(".env.example", "TOKEN=\n")), "refused", 20, "a version is never reused")
		m.expect(m.check("0.0.3-dev", daemon(), own(".env.example", "TOKEN=\n")), "refused", 10, "lacks TOKEN")
		m.expect(m.check("0.0.4-dev", own("systemd/atta.service", "[Service]\nExecStart=/bin/true\n")), "refused", 10, "does not run ${IMAGE}")
		m.replace("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
		m.expect(m.check("0.0.5-dev", daemon()), "refused", 10, "the Docker engine does not answer")
		m.replace("docker", m.passOn("docker"))
	})
	m.deployed("0.0.2-dev", daemon(), parameter("deployment", "d"))
}
