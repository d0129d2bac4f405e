//go:build !e2e

package host_test

import (
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// Where Docker's client ends with 125, podman's ends with 126 if it cannot start what it has created, as for a port that is taken:
// https://github.com/containers/podman/blob/v4.3.1/libpod/define/exec_codes.go (ExitCode), https://github.com/Shippable/support/issues/4092
func TestCaseAPortThatIsTakenIsNotTheImagesFaultWithPodman(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.1.0-dev")
	m.replace("docker", `case "$*" in run*--publish=80:80*) echo "Error: cannot listen on the TCP port: listen tcp4 :80: bind: address already in use" >&2; exit 126 ;; esac
`+m.passOn("docker"))
	a := m.deploy("0.1.1-dev", daemon(), own("docker.env", "DOCKER_ARGS=--publish=80:80\n"))
	m.want("cat $ATTA_ROOT/opt/$s/quarantine 2>/dev/null || true", "")
	m.expect(a, "rolled-back", deploy.ExitStart, "address already in use")
}
