//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// What is no container, and what needs no login, is fit.
func TestWhatHasNoRestartPolicyIsTaken(t *testing.T) {
	t.Parallel()
	unit := unitOf(t, "daemon.service")
	for name, changes := range map[string][]change{
		"a program of the host":                  {own("systemd/atta-watch.service", "[Service]\nExecStart=/bin/sleep 1000 --restart=always\n")},
		"an argument of another image's program": {own("systemd/atta-watch.service", "[Service]\nExecStart=/usr/bin/docker run --name=watch public.ecr.aws/x/watch:1 --restart always\n")},
		"a public image with this version's tag": {own("systemd/atta.service", strings.Replace(unit, "Restart=always", "ExecStartPre=/bin/sh -c 'true || docker pull public.ecr.aws/x/assets:${IMAGE_TAG}'\nRestart=always", 1))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			if a := m.deploy("0.0.1-dev", append([]change{daemon()}, changes...)...); a.Outcome != "deployed" {
				t.Errorf("%s: %s", a.Outcome, a.Message)
			}
		})
	}
}

// As systemd reads the files: a line continues after a backslash, and a value may be named in the option.
func TestARestartPolicyThatTheUnitReadsFromAFileIsRefused(t *testing.T) {
	t.Parallel()
	unit := strings.Replace(unitOf(t, "daemon.service"), "docker run --rm", "docker run", 1) // docker refuses --rm with a policy
	for name, changes := range map[string][]change{
		"on a continued line": {own("docker.env", "DOCKER_ARGS=--env=A=B \\\n--restart=always\n"), own("systemd/atta.service", unit)},
		"only its value":      {own("docker.env", "POLICY=always\n"), own("systemd/atta.service", strings.Replace(unit, "/usr/bin/docker run", "/usr/bin/docker run --restart=${POLICY}", 1))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			m.replace("docker", `for a; do shift; case $a in --restart=*) echo "$a" >>"$ATTA_ROOT/policies" ;; *) set -- "$@" "$a" ;; esac; done # the stand-in does not know it
`+m.passOn("docker"))
			a := m.deploy("0.0.2-dev", append([]change{daemon()}, changes...)...)
			if a.Outcome != "refused" || !strings.Contains(a.Message, "restart policy") {
				t.Errorf("%s: %s; docker got %s", a.Outcome, a.Message, m.text("policies"))
			}
		})
	}
}
