//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// A release has no login when it is started, so a unit that pulls fails with "no basic auth credentials", at the latest at a boot:
// https://github.com/aws/amazon-vpc-cni-k8s/issues/1217
func TestCaseAUnitThatPullsItsImageIsRefused(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.1.0-dev")
	unit := unitOf(t, "daemon.service")
	m.untouched(func() {
		for version, changes := range map[string][]change{
			"0.1.1-dev": {daemon(), own("systemd/atta.service", strings.Replace(unit, "--pull=never", "--pull=always", 1))},
			"0.1.2-dev": {daemon(), own("systemd/atta.service", strings.Replace(unit, "ExecStart=/usr", "ExecStartPre=/usr/bin/docker pull ${IMAGE}\nExecStart=/usr", 1))},
			"0.1.3-dev": {daemon(), own("docker.env", "DOCKER_ARGS=--pull=always\n")},
		} {
			if a := m.deploy(version, changes...); a.Outcome != "refused" || !strings.Contains(a.Message, "pull") {
				t.Errorf("%s: %s %d: %s", version, a.Outcome, a.Code, a.Message)
			}
		}
	})
}
