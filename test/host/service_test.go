//go:build long || e2e

package host_test

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/test/tier"
)

func TestOnEachMachineAServiceThatDoesNotStayUpIsRolledBack(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		m.deployed("0.0.1-dev", serving(m.port))
		m.deployed("0.0.2-dev", serving(m.port))
		before, run := m.snapshot(), m.invocation()
		m.expect(m.deploy("0.0.2-dev", serving(m.port)), "unchanged", 0, "runs already")
		m.want("systemctl show --property=InvocationID $s", run)

		for version, c := range map[string]struct {
			changes []change
			message string
		}{
			"0.1.0-dev": {[]change{serving(m.port), image(sample.WithCmd("-sleep", "2s"), sample.WithExitCode(3)), parameter("min-healthy-time", "4")}, "did not stay up: "},
			"0.1.1-dev": {[]change{serving(m.port), image(sample.WithCmd("-sleep", "5s"), sample.WithExitCode(3)), parameter("min-healthy-time", "8")}, "did not stay up: "},
			"0.1.2-dev": {[]change{serving("8082"), parameter("health-url", "http://127.0.0.1:"+m.port+"/health")}, "http://127.0.0.1:" + m.port + "/health did not answer"},
		} {
			if version == "0.1.0-dev" && !tier.Long {
				continue // as the next one, and each takes half a minute on a real machine
			}
			a := m.deploy(version, append(c.changes, parameter("health-timeout", "15"))...)
			m.expect(a, "rolled-back", 40, c.message)
			m.same(before, m.snapshot())
			m.settled()
			m.isServing("0.0.2-dev")
		}
	})
}

// nginx stops at once on SIGTERM, and its image names SIGQUIT: https://github.com/nginx/docker-nginx/issues/377. On that, a
// program in Go says so.
func TestOnEachMachineCaseAServiceIsStoppedWithTheSignalOfItsImage(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		const quits = "journalctl --quiet --no-pager --output=cat --unit=$s | grep -c '^SIGQUIT: quit' || true"
		m.deployed("0.0.1-dev", daemon(func(c *v1.ConfigFile) { c.Config.StopSignal = "SIGQUIT" }))
		m.want(quits, "0")
		m.deployed("0.0.2-dev", daemon(), own("docker.env", "DOCKER_ARGS=--stop-signal=QUIT\n"))
		m.want(quits, "1")
		m.deployed("0.0.3-dev", daemon())
		m.want(quits, "2")
		m.deployed("0.0.4-dev", daemon())
		m.want(quits, "2")
	})
}
