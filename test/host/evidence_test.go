//go:build long || e2e

package host_test

import (
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// A job is taken for deployed only when the engine shows that the release's own image ran under
// its unit.
func TestOnEachMachineAJobThatRunsAnotherImageIsNotDeployed(t *testing.T) {
	onEachMachine(t, func(t *testing.T, m machine) {
		first := m.deployed("0.0.1-dev")
		if first.Evidence != deploy.EvidenceSucceeded || !first.Verified {
			t.Errorf("%+v", first.Report)
		}
		before, other := m.snapshot(), m.output("sed -n s/^IMAGE=//p $ATTA_ROOT/opt/$s/current/release.env")
		unit := func(run string) change {
			return own("systemd/atta.service", "[Service]\nType=oneshot\nEnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=/usr/bin/docker run --pull=never "+run+"\n[Install]\nWantedBy=multi-user.target\n")
		}
		for version, c := range map[string]struct {
			change  change
			outcome deploy.Outcome
			message string
		}{
			"0.1.0-dev": {unit("--name=%N " + other), "refused", "does not run ${IMAGE}"},
			"0.1.1-dev": {unit("${IMAGE}"), "refused", "gives its container no name"},
			"0.1.2-dev": {unit("--name=%N-job ${IMAGE}"), "refused", "gives its container no name"},
			"0.1.6-dev": {unit("--env-file=/opt/%N/current/deploy/app.env ${IMAGE}"), "refused", "gives its container no name"},
			"0.1.7-dev": {unit("--name=%N --env-file=/opt/%N/current/deploy/app.env " + other), "refused", "does not run ${IMAGE}"},
			"0.1.3-dev": {own("docker.env", "IMAGE="+other+"\n"), "rolled-back", "the container atta has the image " + other},
			"0.1.4-dev": {own("docker.env", "DOCKER_ARGS="+other+"\n"), "rolled-back", "the container atta has the image " + other},
			"0.1.5-dev": {own("docker.env", "DOCKER_ARGS=--detach\n"), "refused", "remove --detach"},
		} {
			code := deploy.ExitPreflight
			if c.outcome == "rolled-back" {
				code = deploy.ExitStart // the image is not to blame
			}
			m.expect(m.deploy(version, c.change), c.outcome, code, c.message)
			m.same(before, m.snapshot())
		}
		a := m.deployed("0.2.0-dev", unit("--rm --name=%N ${IMAGE}"))
		if a.Evidence != deploy.EvidenceSucceeded || !a.Verified {
			t.Errorf("a container that removes itself: %+v", a.Report)
		}
		m.want("docker ps --all --quiet --filter name=^$s$", "")
	})
}

// What a service runs is the container of its name, whatever else runs the same image.
func TestOnEachMachineAServiceRunsWhatItsContainerShows(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		m.deployed("0.0.1-dev", serving(m.port))
		worker := m
		worker.service = "worker"
		idle := own("systemd/worker.service", "[Service]\nExecStart=/bin/sh -c 'exec sleep 600' --name=%N ${IMAGE}\n")
		same := m.output("sed -n s/^IMAGE=//p $ATTA_ROOT/opt/$s/current/release.env")
		a := worker.deploy("0.0.1-dev", idle, parameter("image", same), parameter("health-timeout", "4"))
		worker.expect(a, "rolled-back", 30, "worker.service: no container is named worker")

		m.output("docker rm --force $s")
		a = m.deploy("0.0.1-dev", serving(m.port))
		if a.Outcome != deploy.OutcomeUnchanged { // systemd has started it again meanwhile
			m.expect(a, "deployed", 0, "0.0.1-dev runs")
		}
		m.isServing("0.0.1-dev")

		leaves := own("systemd/atta.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nEnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=/usr/bin/docker run --detach --pull=never --name=%N ${IMAGE}\n")
		a = m.deploy("0.0.2-dev", leaves, image(sample.WithCmd("-sleep", "2s"), sample.WithExitCode(3)), parameter("min-healthy-time", "4"))
		m.expect(a, "rolled-back", 40, "and ended with exit status 3")
		m.isServing("0.0.1-dev")
	})
}
