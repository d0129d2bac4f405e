//go:build !e2e

package host_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// stopsWhen stops the unit as soon as it is in a state of the new release.
func (m standin) stopsWhen(state string) {
	for range 300 {
		time.Sleep(100 * time.Millisecond)
		if strings.TrimSpace(m.sh("readlink $ATTA_ROOT/opt/atta/current").stdout) == "releases/0.0.2-dev" && m.show("ActiveState") == state &&
			strings.Contains(m.sh("docker ps --format '{{.Names}}'").stdout, "atta") {
			m.sh("systemctl stop atta.service")
			return
		}
	}
}

// wantBlamed fails the test unless a deploy has found the image unhealthy and quarantined it.
func (m standin) wantBlamed(a answer) {
	m.t.Helper()
	if text := m.text("opt/atta/quarantine"); a.Code != deploy.ExitUnhealthy || text == "" {
		m.t.Errorf("%s %d %q; quarantine %q", a.Outcome, a.Code, a.Message, text)
	}
}

// Somebody stops the unit during the deploy, and the program, which has no handler for SIGTERM, ends with 143, as that of a JVM does.
// A unit without SuccessExitStatus=143 has failed then.
func TestAProgramThatEndsWith143WhenItIsStoppedIsNotToBlame(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state string
		unit  change
	}{
		"service":                 {"active", own("systemd/atta.service", unitOf(t, "daemon.service"))},
		"service before it is up": {"activating", own("systemd/atta.service", strings.Replace(unitOf(t, "daemon.service"), "Restart=always", "ExecStartPost=/bin/sleep 6\nRestart=always", 1))},
		"job":                     {"activating", own("systemd/atta.service", unitOf(t, "atta.service"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			go m.stopsWhen(c.state)
			m.wantExcused(m.deploy("0.0.2-dev", daemon(sample.WithCmd("-sleep", "600s")), c.unit, parameter("min-healthy-time", "8"), parameter("health-timeout", "30")))
		})
	}
}

const (
	runScript     = "#!/bin/bash\nset -eu\nECHO\ndocker run --pull=never --name=atta --label=version=$VERSION OPTION \"$IMAGE\" -serve\n"
	unitOfAScript = "[Unit]\nWants=docker.service\nAfter=docker.service\n[Service]\nEnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\n" +
		"ExecStart=/opt/%N/current/deploy/run.sh\nExecStop=/usr/bin/docker stop %N\nSTOPPOST[Install]\nWantedBy=multi-user.target\n"
)

// deployScript deploys a release whose unit runs docker as a child of a script. Of its calls, docker answers those that are cases here,
// where $own is the real one.
func (m standin) deployScript(cases, echo, option, stopPost string) answer {
	m.t.Helper()
	m.write("../bin/docker.own", "#!/bin/sh\n"+m.passOn("docker")+"\n", 0o755)
	m.replace("docker", `own="`+m.Path("..", "bin", "docker.own")+`"; case "$*" in `+cases+" esac; "+m.passOn("docker"))
	script := strings.NewReplacer("ECHO", echo, "OPTION", option).Replace(runScript)
	return m.deploy("0.0.2-dev", daemon(), parameter("image", m.push()), own("run.sh", script), own("systemd/atta.service", strings.Replace(unitOfAScript, "STOPPOST", stopPost, 1)), parameter("health-timeout", "10"))
}

func TestAMessageOfDockerInAScriptIsRead(t *testing.T) {
	t.Parallel()
	device := `run*--device=/dev/kvm*) "$own" create --pull=never --name=atta $(sed -n 's/^IMAGE=//p' $ATTA_ROOT/opt/atta/current/release.env) >/dev/null
  echo 'docker: Error response from daemon: error gathering device information while adding custom device "/dev/kvm": no such file or directory' >&2; exit 127 ;;`
	for name, echo := range map[string]string{"that says something": "echo starting atta", "that says nothing": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			a := m.deployScript(device, echo, "--device=/dev/kvm", "")
			m.wantExcused(a)
			if !strings.Contains(a.Message, "error gathering device information") {
				t.Errorf("%q", a.Message)
			}
		})
	}
	t.Run("a port that is taken", func(t *testing.T) {
		t.Parallel()
		m := boot(t)
		m.deployed("0.0.1-dev", daemon())
		a := m.deployScript(`run*--publish=80:80*) echo 'docker: Error response from daemon: driver failed programming external connectivity on endpoint atta: Bind for 0.0.0.0:80 failed: port is already allocated.' >&2; exit 125 ;;`,
			"echo starting atta", "--publish=80:80", "")
		m.wantExcused(a)
		if !strings.Contains(a.Message, "already allocated") {
			t.Errorf("%q", a.Message)
		}
	})
}

// Podman ends with 126 when a port is taken, and its messages begin with another word.
func TestAMessageOfPodmanInAScriptIsRead(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("var/lib/docker/kind", "podman", 0o644)
	m.deployed("0.0.1-dev", daemon())
	m.wantExcused(m.deployScript(`run*--publish=80:80*) "$own" create --pull=never --name=atta $(sed -n 's/^IMAGE=//p' $ATTA_ROOT/opt/atta/current/release.env) >/dev/null
  echo 'Error: rootlessport listen tcp 0.0.0.0:80: bind: address already in use' >&2; exit 126 ;;`, "echo starting atta", "--publish=80:80", ""))
}

// What a script says of its own work is no message of the engine.
func TestALineOfAScriptThatBeginsLikeAMessageOfDockerIsNone(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"docker run atta", "Error reporting is on", "Error: no configuration, using defaults"} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			m.wantBlamed(m.deployScript(`run*--label=version=0.0.2-dev*) echo 'docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nosuch": stat /nosuch: no such file or directory: unknown' >&2; exit 127 ;;`,
				"echo '"+line+"'", "--rm", ""))
		})
	}
}

// A script runs the release's image by another name, and its program crashes.
func TestAnotherNameOfTheImageIsNotAnotherImage(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{"removed": "--rm ", "kept": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := "#!/bin/bash\nset -e\ndocker tag \"$IMAGE\" localhost/atta:run\nexec docker run " + options + "--pull=never --name=atta localhost/atta:run -sleep 300ms -exit 3\n"
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			m.wantBlamed(m.deploy("0.0.2-dev", daemon(sample.WithVersion("0.0.2-dev")), own("run.sh", script), own("systemd/atta.service", strings.Replace(unitOfAScript, "STOPPOST", "", 1)), parameter("health-timeout", "15")))
		})
	}
}

// A step after it finds no container.
func TestAProgramThatIsMissingInAScriptIsToBlame(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	a := m.deployScript(`run*--label=version=0.0.2-dev*) echo 'docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nosuch": stat /nosuch: no such file or directory: unknown' >&2; exit 127 ;;
"rm --force --volumes atta") "$own" container inspect atta >/dev/null 2>&1 || { echo 'Error response from daemon: No such container: atta' >&2; exit 1; } ;;`,
		"", "--rm", "ExecStopPost=-/usr/bin/docker rm --force --volumes %N\n")
	if m.wantBlamed(a); strings.Contains(a.Message, "No such container") {
		t.Errorf("%q", a.Message)
	}
}

func TestAHealthCommandThatTheHostCannotRunIsNotTheImagesFault(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	a := m.deploy("0.0.2-dev", daemon(), parameter("health-command", "grpc-health-probe -addr=127.0.0.1:80"), parameter("health-timeout", "8"))
	m.wantExcused(a)
	if !strings.Contains(a.Message, "health-command ended with 127: a command of it was not found or cannot be run") {
		t.Errorf("%q", a.Message)
	}
}

// A file on the host makes the unit run the image of the release before, which does not know an option of this one.
func TestAnotherImageThatCrashesIsNotTheReleases(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{"removed": "docker run --rm", "kept": "docker run"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			m.sh("mkdir -p $ATTA_ROOT/etc/default; grep ^IMAGE= $ATTA_ROOT/opt/atta/current/release.env >$ATTA_ROOT/etc/default/atta")
			unit := strings.NewReplacer("EnvironmentFile=-/opt", "EnvironmentFile=-/etc/default/atta\nEnvironmentFile=-/opt", "docker run --rm", options, "$DOCKER_ARGS ${IMAGE}", "$DOCKER_ARGS ${IMAGE} --new-option").Replace(unitOf(t, "daemon.service"))
			a := m.deploy("0.0.2-dev", daemon(sample.WithVersion("0.0.2-dev")), own("systemd/atta.service", unit), parameter("health-timeout", "15"))
			m.wantExcused(a)
			if !strings.Contains(a.Message, "has the image") && !strings.Contains(a.Message, "had the image") {
				t.Errorf("%q", a.Message)
			}
		})
	}
}

// Nobody stops anything here: a signal is only passed on, as SIGURG is by some clients of Docker; systemd, timeout(1) or a script of the
// unit stops a program that is never ready; steps of the unit stop what is not there any more.
func TestAProgramThatNobodyStopsIsToBlame(t *testing.T) {
	t.Parallel()
	steps := "[Service]\nEnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker kill %N\nExecStartPre=-/usr/bin/docker stop %N\nExecStartPre=-/usr/bin/docker rm -f %N\n" +
		"ExecStart=/usr/bin/docker run --pull=never --name=%N ${IMAGE}\nExecStop=-/usr/bin/docker stop %N\nExecStopPost=-/usr/bin/docker kill %N\nExecStopPost=-/usr/bin/docker rm -f %N\nRESTART\n[Install]\nWantedBy=multi-user.target\n"
	waits := "#!/bin/bash\ndocker run --rm --pull=never --name=atta \"$IMAGE\" &\nfor i in 1 2 3; do sleep 1; [ ! -e $ATTA_ROOT/run/ready ] || wait; done\necho 'not ready' >&2; exit 1\n"
	builtIn := func(added string) string {
		return strings.Replace(unitOf(t, "daemon.service"), "Restart=always", added+"\nRestart=always", 1)
	}
	for name, c := range map[string]struct {
		unit    string
		program sample.Option
	}{
		"signal":             {builtIn("ExecStartPost=-/bin/sh -c 'sleep 1; docker kill --signal=WINCH %N'"), sample.WithCmd("-sleep", "4s")},
		"never ready":        {builtIn("ExecStartPost=/bin/sh -c 'sleep 3; test -e $$ATTA_ROOT/run/ready || { echo not ready >&2; exit 1; }'"), sample.WithCmd("-sleep", "600s")},
		"a timeout":          {"[Service]\nType=oneshot\nEnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=/usr/bin/timeout 4 docker run --rm --pull=never --name=%N ${IMAGE}\n", sample.WithCmd("-sleep", "600s")},
		"a script":           {strings.Replace(unitOfAScript, "STOPPOST", "ExecStopPost=-/usr/bin/docker rm --force %N\n", 1), sample.WithCmd("-sleep", "600s")},
		"steps of a service": {strings.Replace(steps, "RESTART", "Restart=always\nRestartSec=0", 1), sample.WithCmd("-sleep", "300ms", "-exit", "3")},
		"steps of a job":     {strings.Replace(steps, "RESTART", "Type=oneshot", 1), sample.WithCmd("-sleep", "300ms", "-exit", "3")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			a := m.deploy("0.0.2-dev", daemon(c.program, sample.WithVersion("0.0.2-dev")), own("systemd/atta.service", c.unit), own("run.sh", waits), parameter("health-timeout", "20"), parameter("min-healthy-time", "8"))
			m.wantBlamed(a)
		})
	}
}

// The engine is restarted, as by an upgrade, and answers again when the release is rolled back. Its client loses the container, or the
// container is stopped.
func TestAnEngineThatIsRestartedDoesNotCondemnTheImage(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"125", "143"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			m.write("../bin/docker.own", "#!/bin/sh\n"+m.passOn("docker")+"\n", 0o755)
			m.replace("docker", `own="`+m.Path("..", "bin", "docker.own")+`"
if [ -e $ATTA_ROOT/run/down ] && ! grep -q '^CODE=[0-9]' $ATTA_ROOT/opt/atta/state; then echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2; exit 1; fi
case "$*" in run*--label=version=0.0.2-dev*) "$own" "$@" & sleep 3; "$own" kill atta >/dev/null 2>&1; : >$ATTA_ROOT/run/down; echo 'docker: error waiting for container: unexpected EOF' >&2; exit `+code+` ;; esac
`+m.passOn("docker"))
			a := m.deploy("0.0.2-dev", daemon(sample.WithVersion("0.0.2-dev")), parameter("health-timeout", "30"), parameter("min-healthy-time", "8"))
			m.wantExcused(a)
			if a.Outcome != "rolled-back" || !strings.Contains(a.Message, "the Docker engine does not answer") {
				t.Errorf("%s: %q", a.Outcome, a.Message)
			}
		})
	}
}
