//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// unitWithOptions runs docker with the OPTIONS that a test puts in.
const unitWithOptions = "[Unit]\nWants=docker.service\nAfter=docker.service\n[Service]\nEnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\n" +
	"ExecStart=/usr/bin/docker run OPTIONS--pull=never --name=%N ${IMAGE} -serve\nExecStop=/usr/bin/docker stop %N\n[Install]\nWantedBy=multi-user.target\n"

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
	m.deployed("0.0.2-dev", daemon(), own("systemd/atta.service", text))
}

// A program that runs outside a container, and an image that needs no login, are taken.
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
			m.deployed("0.0.1-dev", append([]change{daemon()}, changes...)...)
		})
	}
}

// As systemd reads the files: a line continues after a backslash, and a value may be named in the option.
func TestARestartPolicyThatTheUnitReadsFromAFileIsRefused(t *testing.T) {
	t.Parallel()
	unit := strings.Replace(unitOf(t, "daemon.service"), "docker run --rm", "docker run", 1) // docker refuses --rm with a policy
	for name, changes := range map[string][]change{
		"quoted":              {own("systemd/atta.service", strings.Replace(unit, "Environment=DOCKER_ARGS=", "Environment=DOCKER_ARGS=\"--init --restart=always\"", 1))},
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

func TestAPolicyOfNoFromAVariableIsTaken(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.replace("docker", `for a; do shift; case $a in --restart=*) ;; *) set -- "$@" "$a" ;; esac; done # the stand-in does not know it
`+m.passOn("docker"))
	a := m.deploy("0.0.1-dev", daemon(), own("docker.env", "POLICY=no\n"), own("systemd/atta.service", strings.Replace(unitOf(t, "daemon.service"), "/usr/bin/docker run", "/usr/bin/docker run --restart=${POLICY}", 1)))
	if a.Outcome != "deployed" {
		t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
	}
}

// The unit does not read deploy/local.env.
func TestAFileThatTheUnitDoesNotReadIsNotItsOwn(t *testing.T) {
	t.Parallel()
	m := boot(t)
	a := m.deploy("0.0.1-dev", daemon(), own("local.env", "# docker run with these on a laptop\nDOCKER_ARGS=--detach --restart=unless-stopped\n"))
	if a.Outcome != "deployed" {
		t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
	}
}

// A rollback that has to bring the release meets a unit that was taken when the release was deployed.
func TestAnEarlierUnitDoesNotStandInTheWayBack(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.2-dev", daemon())
	unit := "[Service]\nType=simple\nEnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\n" +
		"ExecStart=/bin/sh -c 'docker run -d --pull=never --name=%N $IMAGE -serve >/dev/null && exec docker logs --follow %N'\nExecStop=/usr/bin/docker stop %N\n[Install]\nWantedBy=multi-user.target\n"
	a := m.deploy("0.0.1-dev", daemon(), own("systemd/atta.service", unit), parameter("allow-downgrade", "true"), parameter("rollback", "true"))
	if a.Outcome != "deployed" {
		t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
	}
}

// Docker gets the value of a variable of the program as one argument, and takes nothing in it for an option.
func TestAFlagOfTheProgramInAVariableDetachesNothing(t *testing.T) {
	t.Parallel()
	unit := strings.Replace(unitOf(t, "daemon.service"), "--env=VERSION=${VERSION}", "--env=VERSION=${VERSION} --env=APP_FLAGS=${APP_FLAGS}", 1)
	for name, changes := range map[string][]change{
		"named in an option":    {own("docker.env", "APP_FLAGS=-debug\n"), own("systemd/atta.service", unit)},
		"named, from the unit":  {own("systemd/atta.service", strings.Replace(unit, "Environment=DOCKER_ARGS=", "Environment=DOCKER_ARGS= \"APP_FLAGS=-v -debug\"", 1))},
		"quoted in DOCKER_ARGS": {own("docker.env", "DOCKER_ARGS=--env=\"APP_FLAGS=-v -debug\"\n")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			if a := m.deploy("0.0.1-dev", append([]change{daemon()}, changes...)...); a.Outcome != "deployed" {
				t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
			}
		})
	}
}

// A variable or a label of the container may have the text of an option.
func TestAValueOfAVariableIsNoRestartPolicy(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]string{
		"plain":       "--env=ARGS=--restart=always ",
		"quoted":      `"--env=ARGS=-x --restart=always" -e "ARGS=-y --restart always" `,
		"of the unit": "--env=ARGS=${APP_ARGS} ",
		"in a word":   `--env=ARGS="-x --restart=always" --env ARGS="-x --pull=always" `,
		"of JSON":     `"--env=ARGS={'a': 1} --restart=always" "--label=ARGS=\"a\" --pull=always" `,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			unit := strings.NewReplacer("OPTIONS", option, "EnvironmentFile=", "Environment=\"APP_ARGS=-x --restart=always\"\nEnvironmentFile=").Replace(unitWithOptions)
			if a := m.deploy("0.0.1-dev", daemon(), own("systemd/atta.service", unit)); a.Outcome != "deployed" {
				t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
			}
		})
	}
}

func TestAPolicyOfNoInAFileOfWindowsIsTaken(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.replace("docker", `for a; do shift; case $a in --restart=*) ;; *) set -- "$@" "$a" ;; esac; done # the stand-in does not know it
`+m.passOn("docker"))
	if a := m.deploy("0.0.1-dev", daemon(), own("docker.env", "DOCKER_ARGS=--init --restart=no\r\n")); a.Outcome != "deployed" {
		t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
	}
}
