//go:build e2e

package container_test

import (
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestE2EAServiceThatDoesNotStayUpIsTakenBack(t *testing.T) {
	onEach(t, func(t *testing.T, m machine) {
		m.deployed("0.0.1-dev", serving("8081"))
		m.deployed("0.0.2-dev", serving("8081"))
		before, run := m.live(), m.id()
		m.expect(m.deploy("0.0.2-dev", serving("8081")), "unchanged", 0, "runs already")
		m.want("systemctl show --property=InvocationID $s", run)

		for version, c := range map[string]struct {
			changes []change
			message string
		}{
			"0.1.0-dev": {[]change{serving("8081"), image(sample.WithCmd("-sleep", "2s"), sample.WithExitCode(3)), parameter("min-healthy-time", "4")}, "did not stay up: "},
			"0.1.1-dev": {[]change{serving("8081"), image(sample.WithCmd("-sleep", "5s"), sample.WithExitCode(3)), parameter("min-healthy-time", "8")}, "did not stay up: "},
			"0.1.2-dev": {[]change{serving("8082"), parameter("health-url", "http://127.0.0.1:8081/health")}, "http://127.0.0.1:8081/health does not answer"},
		} {
			a := m.deploy(version, append(c.changes, parameter("health-timeout", "15"))...)
			m.expect(a, "rolled-back", 40, c.message)
			m.same(before, m.live())
			m.settled()
			m.isServing("0.0.2-dev", "8081")
		}
	})
}

// isServing fails the test unless the version is up, in one container, and answers.
func (m machine) isServing(version, port string) {
	m.t.Helper()
	m.want("readlink /opt/$s/current", "releases/"+version)
	m.want("systemctl is-active $s", "active")
	m.want("docker ps --filter=name=^$s$ --format '{{.Label \"version\"}}'", version)
	m.want("exec 3<>/dev/tcp/127.0.0.1/"+port+"; printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3", "ok "+version)
}
