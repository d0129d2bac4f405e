//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// Another service, whose name begins with that of this one, is started again during the deploy. A step before the program of this
// one fails.
func TestAnotherServiceThatIsStartedDoesNotCondemnTheImage(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	image := m.push()
	m.output("docker create --pull=never --name=atta-worker $(sed -n 's/^IMAGE=//p' $ATTA_ROOT/opt/atta/current/release.env)")
	m.replace("docker", `case "$1:$*" in events:*--format*) ;; events:*) set -- "$@" --format '{{.Action}} {{.Actor.Attributes.name}}' ;; esac # as docker does
`+m.passOn("docker"))
	unit := strings.NewReplacer("RestartSec=5", "RestartSec=1", "Restart=always", "ExecStartPre=/bin/sh -c 'docker start atta-worker; echo no such device >&2; exit 1'\nRestart=always").Replace(unitOf(t, "daemon.service"))
	a := m.deploy("0.0.2-dev", daemon(), own("systemd/atta.service", unit), parameter("image", image), parameter("health-timeout", "10"))
	if text := m.text("opt/atta/quarantine"); a.Code != 30 || strings.Contains(text, "0.0.2-dev") {
		t.Errorf("%s %d %q; an image that was never started is quarantined: %q", a.Outcome, a.Code, a.Message, text)
	}
}

// Docker's client ends with 127 if the engine's message has "no such file or directory", as for a device that the host lacks.
func TestADeviceThatIsMissingIsNotTheImagesFault(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.1.0-dev", daemon())
	m.replace("docker", `case "$*" in run*--device=/dev/kvm*) echo 'docker: Error response from daemon: error gathering device information while adding custom device "/dev/kvm": no such file or directory' >&2; exit 127 ;; esac
`+m.passOn("docker"))
	a := m.deploy("0.1.1-dev", daemon(), own("docker.env", "DOCKER_ARGS=--device=/dev/kvm\n"))
	if text := m.text("opt/atta/quarantine"); a.Code != 30 || text != "" {
		t.Errorf("%s %d %q; an image that was never started is quarantined: %q", a.Outcome, a.Code, a.Message, text)
	}
}

// The first of two commands of a job, which prepares the instance, fails. The image was never started.
func TestAnEarlierCommandOfAJobDoesNotCondemnTheImage(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	a := m.deploy("0.0.2-dev", parameter("image", m.push()), own("systemd/atta.service", "[Service]\nType=oneshot\nEnvironmentFile=/opt/%N/current/release.env\nExecStart=/bin/sh -c 'echo the share is not mounted >&2; exit 1'\n"+runsImage))
	if text := m.text("opt/atta/quarantine"); a.Code != 30 || text != "" {
		t.Errorf("%s %d %q; an image that was never started is quarantined: %q", a.Outcome, a.Code, a.Message, text)
	}
}
