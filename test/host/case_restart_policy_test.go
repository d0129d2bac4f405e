//go:build long || e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// With a restart policy Docker starts the container in addition to systemd: a job runs twice, or for ever after a boot, and a
// service that was disabled is back: https://github.com/fedora-cloud/Fedora-Dockerfiles/pull/180
func TestOnEachMachineCaseARestartPolicyIsRefused(t *testing.T) {
	onEachMachine(t, func(t *testing.T, m machine) {
		m.deployed("0.0.1-dev")
		unit := "[Unit]\nWants=docker.service\nAfter=docker.service\n[Service]\nEnvironmentFile=/opt/%N/current/release.env\nRestart=always\nExecStartPre=-/usr/bin/docker rm --force %N\n" +
			"ExecStart=/usr/bin/docker run --restart=always --pull=never --name=%N --env-file=/opt/%N/.env ${IMAGE}\nExecStop=/usr/bin/docker stop %N\n[Install]\nWantedBy=multi-user.target\n"
		before := m.snapshot()
		for version, c := range map[string][]change{
			"0.0.2-dev": {own("docker.env", "DOCKER_ARGS=--restart=always\n")},
			"0.0.3-dev": {own("docker.env", "DOCKER_ARGS=--env=A=B --restart unless-stopped\n")},
			"0.0.4-dev": {daemon(), own("docker.env", "DOCKER_ARGS=--restart=always\n")},
			"0.0.5-dev": {daemon(), own("systemd/atta.service", unit)},
			"0.0.6-dev": {daemon(), own("systemd/atta-cache.service", strings.NewReplacer("--name=%N", "--name=cache", "${IMAGE}", "redis:7").Replace(unit))},
			"0.0.7-dev": {daemon(), own("systemd/atta.service", strings.Replace(unitOf(t, "daemon.service"), "DOCKER_ARGS=", `"DOCKER_ARGS=--tty --restart=always"`, 1))},
			"0.0.8-dev": {daemon(), own("more.env", "MORE=--restart on-failure:3\n"), own("systemd/atta.service", strings.NewReplacer("$DOCKER_ARGS", "$MORE", "/docker.env", "/more.env").Replace(unitOf(t, "daemon.service")))},
		} {
			if a := m.deploy(version, c...); a.Outcome != "refused" || a.Code != deploy.ExitPreflight || !strings.Contains(a.Message, "restart policy") {
				t.Errorf("%s: %s %d: %s", version, a.Outcome, a.Code, a.Message)
			}
		}
		m.same(before, m.snapshot())
	})
}

// The client of a container that runs in the background ends at once, so systemd takes the service for ended and stops the
// container. The image is not the cause: https://github.com/scollier/SATraining/issues/67
func TestOnEachMachineCaseADetachedContainerIsNamedAndItsImageIsNotQuarantined(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		m.deployed("0.1.0-dev", serving(m.port))
		unit := func(option, restart string) change {
			return own("systemd/atta.service", "[Service]\n"+restart+"EnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\n"+
				"ExecStart=/usr/bin/docker run "+option+" --env=PORT="+m.port+" --pull=never --name=%N ${IMAGE} -serve\nExecStop=/usr/bin/docker stop %N\n[Install]\nWantedBy=multi-user.target\n")
		}
		for version, c := range map[string]change{
			"0.1.1-dev": own("docker.env", "DOCKER_ARGS=--detach\n"), // with the built-in unit of a service
			"0.1.2-dev": unit("-d", ""),
			"0.1.3-dev": unit("--detach", "Restart=always\n"),
		} {
			m.expect(m.deploy(version, serving(m.port), c, parameter("allow-downgrade", "true")), "refused", deploy.ExitPreflight, "remove --detach")
		}
		for version, restart := range map[string]string{"0.2.0-dev": "", "0.2.1-dev": "Restart=always\n"} { // which only the start shows
			m.expect(m.deploy(version, serving(m.port), unit("-dt", restart), parameter("allow-downgrade", "true")), "rolled-back", deploy.ExitStart, "docker run --detach")
		}
		m.want("cat $ATTA_ROOT/opt/$s/quarantine 2>/dev/null | wc -l", "0")
	})
}
