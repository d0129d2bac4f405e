//go:build !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// The client of a container that runs in the background ends at once, so systemd takes the service for ended and stops the
// container. The image is not the cause: https://github.com/scollier/SATraining/issues/67
func TestCaseADetachedContainerIsNamedAndItsImageIsNotQuarantined(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.1.0-dev")
	unit := func(option string) change {
		return own("systemd/atta.service", "[Service]\nEnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\n"+
			"ExecStart=/usr/bin/docker run "+option+" --pull=never --name=%N ${IMAGE}\nExecStop=/usr/bin/docker stop %N\n[Install]\nWantedBy=multi-user.target\n")
	}
	for version, c := range map[string]change{
		"0.1.1-dev": own("docker.env", "DOCKER_ARGS=--detach\n"), // with the built-in unit of a service
		"0.1.2-dev": unit("-d"),
		"0.1.3-dev": unit("--detach"),
	} {
		a := m.deploy(version, daemon(), c, parameter("allow-downgrade", "true"))
		if a.exit == int(deploy.ExitOK) || !strings.Contains(a.Message, "detach") {
			t.Errorf("%s: %s, %d: %q", version, a.Outcome, a.exit, a.Message)
		}
	}
	m.want("cat $ATTA_ROOT/opt/$s/quarantine 2>/dev/null | wc -l", "0")
	// What stays "active" after its client has ended may do so.
	m.deployed("0.1.4-dev", daemon(), own("systemd/atta.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nEnvironmentFile=/opt/%N/current/release.env\n"+
		"ExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=/usr/bin/docker run --detach --pull=never --name=%N ${IMAGE}\nExecStop=/usr/bin/docker stop %N\n[Install]\nWantedBy=multi-user.target\n"))
}
