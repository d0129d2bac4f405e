//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// What comes after the image is for the program, and no option of docker.
func TestAnOptionOfTheProgramIsNoRestartPolicy(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	a := m.deploy("0.0.2-dev", daemon(), own("systemd/atta.service", strings.Replace(unitOf(t, "daemon.service"), "$DOCKER_ARGS ${IMAGE}", "$DOCKER_ARGS ${IMAGE} -serve --restart=always", 1)))
	if a.Reason == "unit-invalid" {
		t.Errorf("%s: %s", a.Outcome, a.Message)
	}
}
