//go:build !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

// wantExcused fails the test unless the deploy failed with 30 and quarantined no image.
func (m standin) wantExcused(a answer) {
	m.t.Helper()
	if text := m.text("opt/atta/quarantine"); a.Code != 30 || text != "" {
		m.t.Errorf("%s %d %q; an image that was never started is quarantined: %q", a.Outcome, a.Code, a.Message, text)
	}
}

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
	m.wantExcused(a)
}

// Docker's client ends with 127 if the engine's message has "no such file or directory", as for a device that the host lacks.
func TestADeviceThatIsMissingIsNotTheImagesFault(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.1.0-dev", daemon())
	m.replace("docker", `case "$*" in run*--device=/dev/kvm*) echo 'docker: Error response from daemon: error gathering device information while adding custom device "/dev/kvm": no such file or directory' >&2; exit 127 ;; esac
`+m.passOn("docker"))
	a := m.deploy("0.1.1-dev", daemon(), own("docker.env", "DOCKER_ARGS=--device=/dev/kvm\n"))
	m.wantExcused(a)
}

// The first of two commands of a job, which prepares the instance, fails. The image was never started.
func TestAnEarlierCommandOfAJobDoesNotCondemnTheImage(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	a := m.deploy("0.0.2-dev", parameter("image", m.push()), own("systemd/atta.service", "[Service]\nType=oneshot\nEnvironmentFile=/opt/%N/current/release.env\nExecStart=/bin/sh -c 'echo the share is not mounted >&2; exit 1'\n"+runsImage))
	m.wantExcused(a)
}

// Nothing of it was started, so nothing is known of the image.
func TestAnImageThatWasNotStartedIsNotQuarantined(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	next := parameter("image", m.push())
	m.expect(m.deploy("0.0.2-dev", next, own("systemd/atta.service", "[Unit]\nConditionPathExists=/nowhere\n[Service]\nType=oneshot\nExecStart=/bin/true --name=%N ${IMAGE}\n")), "rolled-back", 30, "no new run")
	m.deployed("0.0.3-dev", next)
}

// A step before the program fails each time, for a reason of the host, and systemd starts the unit again at once. The image was
// never started.
func TestAStepThatFailsAgainAndAgainIsNotTheImagesFault(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	unit := strings.NewReplacer("[Unit]\n", "[Unit]\nStartLimitIntervalSec=0\n", "RestartSec=5", "RestartSec=0", "Restart=always", "ExecStartPre=/bin/sh -c 'sleep 0.7; echo no such device >&2; exit 1'\nRestart=always").Replace(unitOf(t, "daemon.service"))
	a := m.deploy("0.0.2-dev", daemon(), own("systemd/atta.service", unit), parameter("image", m.push()), parameter("health-timeout", "20"), parameter("min-healthy-time", "3"))
	m.wantExcused(a)
}

// The program ends at once, and systemd starts the unit again, whose ExecStartPre= takes a while. Since version 243 systemd forgets
// ExecMainStartTimestamp when a unit is started, also again (service_start: exec_status_reset).
func TestAProgramThatCrashesIsToBlameAlsoWhileItsUnitIsStartedAgain(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.replace("systemctl", `[ "$1" = show ] || `+m.passOn("systemctl")+`
text=$("`+m.Path("..", "bin", "systemctl.own")+`" "$@") || exit
case $text in *SubState=start-pre*) text=$(printf '%s\n' "$text" | sed 's/^ExecMainStartTimestampMonotonic=.*/ExecMainStartTimestampMonotonic=0/') ;; esac
printf '%s\n' "$text"`)
	m.write("../bin/systemctl.own", "#!/bin/sh\n"+m.passOn("systemctl")+"\n", 0o755)
	unit := strings.NewReplacer("RestartSec=5", "RestartSec=0", "Restart=always", "ExecStartPre=/bin/sleep 2\nRestart=always").Replace(unitOf(t, "daemon.service"))
	a := m.deploy("0.0.2-dev", own("systemd/atta.service", unit), image(sample.WithExitCode(3)), parameter("health-timeout", "20"), parameter("min-healthy-time", "3"))
	m.expect(a, "rolled-back", 40, "")
	if strings.Contains(a.Message, "the container was never started") || !strings.Contains(m.text("opt/atta/quarantine"), "0.0.2-dev") {
		t.Errorf("%q, quarantined: %q", a.Message, m.text("opt/atta/quarantine"))
	}
}

// The image's program cannot be run. The unit's output goes to a file, so the journal does not say why.
func TestAnImageWhoseProgramIsMissingIsNotExcused(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	unit := strings.NewReplacer("RestartSec=5", "RestartSec=1", "Type=simple", "Type=simple\nStandardOutput=append:/var/log/atta.log\nStandardError=inherit").Replace(unitOf(t, "daemon.service"))
	m.replace("docker", `case "$1" in run) exec 2>>"$ATTA_ROOT/var/log/atta.log" ;; esac
`+m.passOn("docker"))
	a := m.deploy("0.0.2-dev", daemon(), own("systemd/atta.service", unit), own("docker.env", "DOCKER_ARGS=--entrypoint=/nosuch\n"), image(sample.WithVersion("0.0.2-dev")), parameter("health-timeout", "10"))
	if !strings.Contains(m.text("opt/atta/quarantine"), "0.0.2-dev") {
		t.Errorf("%s %d %s: %q; an image that cannot be run is not quarantined", a.Outcome, a.Code, a.Reason, a.Message)
	}
}

// The same in the journal, which is a moment behind.
func TestAJournalThatIsBehindExcusesNoImage(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	m.replace("journalctl", `case "$*" in *--lines=50*) exit ;; esac
`+m.passOn("journalctl"))
	a := m.deploy("0.0.2-dev", daemon(), own("docker.env", "DOCKER_ARGS=--entrypoint=/nosuch\n"), image(sample.WithVersion("0.0.2-dev")), parameter("health-timeout", "10"))
	if !strings.Contains(m.text("opt/atta/quarantine"), "0.0.2-dev") {
		t.Errorf("%s %d %s: %q; an image that cannot be run is not quarantined", a.Outcome, a.Code, a.Reason, a.Message)
	}
}

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

// The host's NVIDIA driver is missing: docker's client ends with 127, and the message begins like that of a missing program.
func TestAHookOfTheRuntimeThatFailsIsNotTheImagesFault(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"driver": `docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as legacy nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory: unknown.`,
		"mount":  `docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting "/mnt/share" to rootfs at "/data": stat /mnt/share: no such file or directory: unknown`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.1.0-dev", daemon())
			m.replace("docker", `case "$*" in run*--gpus*) echo '`+text+`' >&2; exit 127 ;; esac
`+m.passOn("docker"))
			a := m.deploy("0.1.1-dev", daemon(), own("docker.env", "DOCKER_ARGS=--gpus=all\n"))
			m.wantExcused(a)
		})
	}
}

// The image's program is missing, which is the image's fault. A step after it (ExecStopPost=) finds no container to remove, and says so last.
func TestAStepThatFindsNoContainerDoesNotExcuseTheImage(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	unit := strings.NewReplacer("OPTIONS", "--rm --label=version=${VERSION} ", "ExecStop=", "ExecStopPost=-/usr/bin/docker rm --force --volumes %N\nExecStop=").Replace(unitWithOptions)
	m.replace("docker", `case "$*" in run*--label=version=0.0.2-dev*) echo 'docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nosuch": stat /nosuch: no such file or directory: unknown' >&2; exit 127 ;; "rm --force --volumes atta") "$ATTA_ROOT/bin/docker" container inspect atta >/dev/null 2>&1 || { echo 'Error response from daemon: No such container: atta' >&2; exit 1; } ;; esac
`+m.passOn("docker"))
	a := m.deploy("0.0.2-dev", daemon(), parameter("image", m.push()), own("systemd/atta.service", unit), parameter("health-timeout", "10"))
	if text := m.text("opt/atta/quarantine"); a.Code != 40 || text == "" || strings.Contains(a.Message, "No such container") {
		t.Errorf("%s %d %q; quarantine %q", a.Outcome, a.Code, a.Message, text)
	}
}

// The shell does not find a program of the instance, and never comes to docker. That there was no container to remove before is not why.
func TestTheMessageOfAnEarlierStepIsNotTheCause(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	unit := strings.Replace(unitWithOptions, "ExecStart=/usr/bin/docker run OPTIONS--pull=never --name=%N ${IMAGE} -serve", "ExecStart=/bin/sh -c 'mount-the-share-of-atta /data && exec docker run --pull=never --name=%N $IMAGE -serve'", 1)
	a := m.deploy("0.0.2-dev", daemon(), own("systemd/atta.service", unit), parameter("health-timeout", "10"))
	if !strings.Contains(a.Message, "mount-the-share-of-atta") || strings.Contains(a.Message, "No such container") {
		t.Errorf("%s %d %q", a.Outcome, a.Code, a.Message)
	}
}

// The unit's own shell fails before it comes to docker, in words of its own or without any.
func TestAShellThatFailsBeforeDockerIsNotTheImagesFault(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"silent": "test -r /data/key || exit 126; ", "not found": "mount-the-share-of-atta /data && "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			unit := strings.Replace(unitOf(t, "daemon.service"), "ExecStart=", "ExecStart=/bin/sh -c '"+first+"exec \"$0\" \"$@\"' ", 1)
			m.wantExcused(m.deploy("0.0.2-dev", daemon(), parameter("image", m.push()), own("systemd/atta.service", unit), parameter("health-timeout", "10")))
		})
	}
}

// A fault of the host whose message has "exec: " or "executable" in it, and for which docker's client ends with 127.
func TestAFaultOfTheHostThatNamesAnExecutableIsNotTheImagesFault(t *testing.T) {
	t.Parallel()
	const oci = `docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: `
	for name, text := range map[string]string{
		"AppArmor": oci + `runc create failed: unable to start container process: error during container init: unable to apply apparmor profile: apparmor failed to apply profile: write /proc/self/attr/apparmor/exec: no such file or directory: unknown`,
		"runtime":  oci + `unable to retrieve OCI runtime error (open /run/containerd/io.containerd.runtime.v2.task/moby/0a1b/log.json: no such file or directory): exec: "nvidia-container-runtime": executable file not found in $PATH: unknown`,
		"proxy":    `docker: Error response from daemon: failed to set up container networking: driver failed programming external connectivity on endpoint atta (0a1b): exec: "docker-proxy": executable file not found in $PATH`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.1.0-dev", daemon())
			m.write("said", text+"\n", 0o644)
			m.replace("docker", `case "$*" in run*--publish=8080:8080*) cat "$ATTA_ROOT/said" >&2; exit 127 ;; esac
`+m.passOn("docker"))
			m.wantExcused(m.deploy("0.1.1-dev", daemon(), parameter("image", m.push()), own("docker.env", "DOCKER_ARGS=--publish=8080:8080\n")))
		})
	}
}

// The container whose volumes it takes is missing, and docker says so.
func TestAnotherContainerThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.1.0-dev", daemon())
	m.replace("docker", `case "$*" in run*--volumes-from=data*) echo 'docker: Error response from daemon: No such container: data' >&2; exit 125 ;; esac
`+m.passOn("docker"))
	a := m.deploy("0.1.1-dev", daemon(), own("docker.env", "DOCKER_ARGS=--volumes-from=data\n"))
	m.wantExcused(a)
	if !strings.Contains(a.Message, "No such container: data") {
		t.Errorf("%s %d %q", a.Outcome, a.Code, a.Message)
	}
}

// As TestAStepThatFindsNoContainerDoesNotExcuseTheImage, in podman's words, and for a container that was created and not started.
func TestAStepThatFindsNothingToKillDoesNotExcuseTheImage(t *testing.T) {
	t.Parallel()
	const docker = `docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nosuch": stat /nosuch: no such file or directory: unknown`
	for name, said := range map[string][2]string{
		"podman":      {"Error: crun: executable file `/nosuch` not found: No such file or directory: OCI runtime attempted to invoke a command that was not found", `Error: no container with name or ID "atta" found: no such container`},
		"not running": {docker, `Error response from daemon: cannot kill container: atta: container 0a1b2c is not running`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			unit := strings.NewReplacer("OPTIONS", "--label=version=${VERSION} ", "ExecStop=", "ExecStopPost=-/usr/bin/docker kill %N\nExecStop=").Replace(unitWithOptions)
			m.write("run/run", said[0]+"\n", 0o644)
			m.write("run/kill", said[1]+"\n", 0o644)
			m.replace("docker", `case "$*" in run*--label=version=0.0.2-dev*) cat "$ATTA_ROOT/run/run" >&2; exit 127 ;; "kill atta") cat "$ATTA_ROOT/run/kill" >&2; exit 1 ;; esac
`+m.passOn("docker"))
			a := m.deploy("0.0.2-dev", daemon(), own("systemd/atta.service", unit), parameter("health-timeout", "10"))
			if text := m.text("opt/atta/quarantine"); a.Code != 40 || text == "" || strings.Contains(a.Message, "o such container") || strings.Contains(a.Message, "is not running") {
				t.Errorf("%s %d %q; quarantine %q", a.Outcome, a.Code, a.Message, text)
			}
		})
	}
}

// The image's program is missing, or not executable, in the words of a current runc.
func TestAProgramThatRuncCannotExecuteDuringInitIsTheImagesFault(t *testing.T) {
	t.Parallel()
	const oci = `docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: `
	for name, test := range map[string][2]string{
		"missing":        {"127", oci + `exec: "/app/server": stat /app/server: no such file or directory: unknown`},
		"not executable": {"126", oci + `exec: "/app/entrypoint.sh": permission denied: unknown`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.1.0-dev", daemon())
			m.write("said", test[1]+"\n", 0o644)
			m.replace("docker", `case "$*" in run*--label=version=0.1.1-dev*) cat "$ATTA_ROOT/said" >&2; exit `+test[0]+` ;; esac
`+m.passOn("docker"))
			a := m.deploy("0.1.1-dev", daemon(), parameter("image", m.push()), parameter("health-timeout", "10"))
			if text := m.text("opt/atta/quarantine"); a.Code != 40 || text == "" {
				t.Errorf("%s %d %s %q; quarantine %q", a.Outcome, a.Code, a.Reason, a.Message, text)
			}
		})
	}
}
