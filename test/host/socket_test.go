//go:build !e2e

package host_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// systemd listens for the service (atta.socket, or systemd-socket-proxyd in front of it), and starts it when somebody connects. The
// question whether something else answers while it is stopped is such a connection.
func TestAServiceThatAConnectionStartsIsDeployed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	systemd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		m.sh("systemctl start atta") // as systemd does for a socket
	}))
	defer systemd.Close()
	for _, version := range []string{"0.0.1-dev", "0.0.2-dev"} {
		a := m.deploy(version, daemon(), parameter("health-url", systemd.URL+"/health"), parameter("health-timeout", "10"), parameter("min-healthy-time", "1"))
		if a.Outcome != "deployed" {
			t.Errorf("%s: a healthy release is lost: %s %d: %s", version, a.Outcome, a.Code, a.Message)
		}
	}
}
