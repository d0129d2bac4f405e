//go:build !e2e

package host_test

import "testing"

// Somebody has stopped the service, and its port is taken by now. The version that is installed is deployed again and cannot be started: the
// instance is as before.
func TestAServiceThatWasDownIsAsBeforeAfterTheEngineRefusedIt(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.output("systemctl stop atta")
	m.replace("docker", `case "$1" in run) echo 'docker: Error response from daemon: driver failed programming external connectivity on endpoint atta: Bind for 0.0.0.0:8080 failed: port is already allocated' >&2; exit 125 ;; esac
`+m.passOn("docker"))
	m.expect(m.deploy("0.0.1-dev", daemon(), parameter("health-timeout", "5")), "rolled-back", 30, "it was not running before")
}
