//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// The image is also named before the policy.
func TestARestartPolicyAfterALabelIsRefused(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	unit := "[Unit]\nWants=docker.service\nAfter=docker.service\n[Service]\nEnvironmentFile=/opt/%N/current/release.env\nRestart=always\nExecStartPre=-/usr/bin/docker rm --force %N\n" +
		"ExecStart=/usr/bin/docker run --env=RELEASE=${IMAGE} --restart=always --pull=never --name=%N ${IMAGE} -serve\nExecStop=/usr/bin/docker stop %N\n[Install]\nWantedBy=multi-user.target\n"
	for version, text := range map[string]string{
		"0.0.2-dev": unit,
		"0.0.3-dev": strings.Replace(unit, "RELEASE=${IMAGE}", "RELEASE=$IMAGE_TAG", 1),
	} {
		if a := m.deploy(version, daemon(), parameter("allow-downgrade", "true"), own("systemd/atta.service", text)); a.Outcome != "refused" {
			t.Errorf("%s: %s: %s", version, a.Outcome, a.Message)
		}
	}
}

// A step pulls another image, from a registry that needs no login.
func TestAStepMayPullAnotherImage(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	text := strings.Replace(unitOf(t, "daemon.service"), "Restart=always", "ExecStartPre=/bin/sh -c 'true || docker pull public.ecr.aws/x/sidecar:1'\nExecStartPre=+-/usr/bin/docker pull ${IMAGE}\nRestart=always", 1)
	if a := m.deploy("0.0.2-dev", daemon(), own("systemd/atta.service", text)); a.Outcome != "deployed" {
		t.Errorf("%s: %s", a.Outcome, a.Message)
	}
}
