//go:build !e2e

package host_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestAnUnhealthyImageIsRefusedUntilItIsAllowedAndSeenHealthy(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	bad, worse := m.push(), m.push(sample.WithEnv("WORSE", "yes"))
	m.write("opt/atta/.env", "EXIT_CODE=3\n", 0o600)
	m.expect(m.deploy("0.0.2-dev", parameter("image", bad)), "rolled-back", 40, "exit status 3")
	m.expect(m.deploy("0.0.3-dev", parameter("image", worse)), "rolled-back", 40, "exit status 3")
	for _, version := range []string{"0.0.2-dev", "0.0.4-dev"} {
		m.untouched(func() {
			a := m.deploy(version, parameter("image", bad))
			m.expect(a, "refused", 10, "this image is quarantined: 0.0.2-dev was found unhealthy at 20")
			if !regexp.MustCompile(`at 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ \(atta\.service failed: result exit-code, exit status 3\); allow-quarantined is not set$`).MatchString(a.Message) {
				t.Error(a.Message)
			}
		})
	}
	allowed := parameter("allow-quarantined", "true")
	m.expect(m.deploy("0.0.4-dev", parameter("image", bad), allowed), "rolled-back", 40, "exit status 3")
	m.write("opt/atta/.env", "EXIT_CODE=0\n", 0o600)
	m.deployed("0.0.4-dev", parameter("image", bad), allowed)
	m.deployed("0.0.5-dev", parameter("image", bad))
	m.expect(m.deploy("0.0.6-dev", parameter("image", worse)), "refused", 10, "0.0.3-dev was found unhealthy")
	if status := m.byHand("status").stdout; !strings.Contains(status, "quarantined    0.0.3-dev was found unhealthy at 20") {
		t.Error(status)
	}
}

// Nothing of it was started, so nothing is known of the image.
func TestAnImageThatWasNotStartedIsNotQuarantined(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	next := parameter("image", m.push())
	m.expect(m.deploy("0.0.2-dev", next, own("systemd/atta.service", "[Unit]\nConditionPathExists=/nowhere\n[Service]\nType=oneshot\nExecStart=/bin/true\n")), "rolled-back", 30, "no new run")
	m.deployed("0.0.3-dev", next)
}
