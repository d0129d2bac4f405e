//go:build !e2e

package host_test

import (
	"testing"
)

// Nothing of it was started, so nothing is known of the image.
func TestAnImageThatWasNotStartedIsNotQuarantined(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	next := parameter("image", m.push())
	m.expect(m.deploy("0.0.2-dev", next, own("systemd/atta.service", "[Unit]\nConditionPathExists=/nowhere\n[Service]\nType=oneshot\nExecStart=/bin/true --name=%N ${IMAGE}\n")), "rolled-back", 30, "no new run")
	m.deployed("0.0.3-dev", next)
}
