//go:build !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// The unit that podman generate systemd --new writes: conmon is the main process.
func TestTheUnitOfPodmanGenerateSystemdIsTaken(t *testing.T) {
	t.Parallel()
	m := boot(t)
	unit := "[Unit]\nWants=network-online.target\nAfter=network-online.target\n[Service]\nEnvironmentFile=/opt/%N/current/release.env\nRestart=on-failure\nTimeoutStopSec=70\n" +
		"ExecStart=/usr/bin/docker run --cidfile=%t/%n.ctr-id --cgroups=no-conmon --rm --sdnotify=conmon --replace -d --name %N ${IMAGE}\n" +
		"ExecStop=/usr/bin/docker stop --ignore -t 10 --cidfile=%t/%n.ctr-id\nExecStopPost=/usr/bin/docker rm -f --ignore -t 10 --cidfile=%t/%n.ctr-id\nType=notify\nNotifyAccess=all\n[Install]\nWantedBy=default.target\n"
	a := m.deploy("0.0.1-dev", daemon(), own("systemd/atta.service", unit))
	t.Logf("%s %d: %s", a.Outcome, a.exit, a.Message)
	if strings.Contains(a.Message, "background") {
		t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
	}
}

// test -d is not an option of docker.
func TestAHealthCommandWithAnOptionDIsNotDetach(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.replace("docker", `for a; do shift; case $a in --health-cmd=*) ;; *) set -- "$@" "$a" ;; esac; done # the stand-in does not know it
`+m.passOn("docker"))
	a := m.deploy("0.0.1-dev", daemon(), own("systemd/atta.service", strings.Replace(unitWithOptions, "OPTIONS", `"--health-cmd=test -d /app/output || exit 1" `, 1)))
	if a.Outcome != "deployed" {
		t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
	}
}

// An argument of the program comes from the same line Environment= as an option of docker.
func TestAnArgumentOfTheProgramIsNoOptionOfDocker(t *testing.T) {
	t.Parallel()
	m := boot(t)
	unit := strings.NewReplacer("EnvironmentFile=", "Environment=DOCKER_ARGS=--init \"APP_ARGS=-serve -d /app/output\"\nEnvironmentFile=", "OPTIONS", "$DOCKER_ARGS ", "${IMAGE} -serve", "${IMAGE} -serve --name $APP_ARGS").Replace(unitWithOptions)
	a := m.deploy("0.0.1-dev", daemon(), own("systemd/atta.service", unit))
	if strings.Contains(a.Message, "background") || strings.Contains(a.Message, "restart policy") {
		t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
	}
}

// systemd also replaces $IMAGE where it is a whole word.
func TestAnArgumentBehindTheImageIsNoOptionOfDocker(t *testing.T) {
	t.Parallel()
	m := boot(t)
	for _, command := range []string{"$IMAGE -serve -d", `"$IMAGE" -serve -d`} {
		unit := strings.NewReplacer("OPTIONS", "--init ", "${IMAGE} -serve", command).Replace(unitWithOptions)
		if a := m.deploy("0.0.1-dev", daemon(), own("systemd/atta.service", unit)); a.Reason == deploy.ReasonUnitInvalid {
			t.Errorf("%s: %s %d: %s", command, a.Outcome, a.exit, a.Message)
		}
	}
}

// The client of a container in the background ends at once, and systemd takes the unit for ended: the image is not to blame, however
// the option is written.
func TestAContainerInTheBackgroundDoesNotCondemnTheImage(t *testing.T) {
	t.Parallel()
	unit := func(old, text string) change {
		return own("systemd/atta.service", strings.Replace(unitWithOptions, old, text, 1))
	}
	for name, changes := range map[string][]change{
		"-dp":                              {unit("OPTIONS", "-dp 18080:18080 ")},
		"quoted":                           {unit("OPTIONS", `"-d" `)},
		"started again":                    {own("systemd/atta.service", strings.NewReplacer("OPTIONS", "-dt ", "[Install]", "Restart=always\n[Install]").Replace(unitWithOptions))},
		"without ExecStop=":                {own("systemd/atta.service", strings.NewReplacer("OPTIONS", "-dt ", "ExecStop=", "# ").Replace(unitWithOptions))},
		"in docker.env":                    {own("docker.env", "DOCKER_ARGS=\"--detach --init\"\n")},
		"in the unit":                      {own("systemd/atta.service", strings.Replace(unitOf(t, "daemon.service"), "Environment=DOCKER_ARGS=", "Environment=DOCKER_ARGS=\"--init -dt\"", 1))},
		"started again, and never stopped": {own("systemd/atta.service", strings.NewReplacer("OPTIONS", "-dt ", "ExecStop=", "# ", "[Install]", "Restart=always\nRestartSec=5\n[Install]").Replace(unitWithOptions))},
		"of a shell":                       {own("systemd/atta.service", strings.Replace(unitWithOptions, "/usr/bin/docker run OPTIONS--pull=never --name=%N ${IMAGE} -serve", "/bin/sh -c 'docker run -d --pull=never --name=%N $IMAGE -serve'", 1))},
		"of a job, which goes on alone":    {own("systemd/atta.service", "[Service]\nType=oneshot\nEnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=/usr/bin/docker run -dt --pull=never --name=%N ${IMAGE} -sleep 60s\n")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			m.replace("docker", `for a; do shift; case $a in -dp) set -- "$@" -d --publish ;; *) set -- "$@" "$a" ;; esac; done # the stand-in does not know it
`+m.passOn("docker"))
			a := m.deploy("0.0.2-dev", append([]change{daemon(), parameter("health-timeout", "10"), parameter("image", m.push(sample.WithCmd("-serve"), sample.WithEnv("PORT", "0")))}, changes...)...)
			m.wantExcused(a)
			if a.Reason != deploy.ReasonStopped || !strings.Contains(a.Message, "docker run --detach") {
				t.Errorf("%s: %s", a.Reason, a.Message)
			}
		})
	}
}

// The container runs in the background, and the unit's program waits for it.
func TestAUnitThatWaitsForItsDetachedContainerIsTaken(t *testing.T) {
	t.Parallel()
	m := boot(t)
	unit := strings.Replace(unitWithOptions, "ExecStart=/usr/bin/docker run OPTIONS--pull=never --name=%N ${IMAGE} -serve", "ExecStart=/bin/sh -c 'docker run -d --pull=never --name=%N $IMAGE -serve >/dev/null && exec docker logs --follow %N'", 1)
	a := m.deploy("0.0.1-dev", daemon(), own("systemd/atta.service", unit))
	if strings.Contains(a.Message, "background") {
		t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
	}
}

// A job starts a helper in the background, and then its own container.
func TestAHelperInTheBackgroundIsNotTheUnitsContainer(t *testing.T) {
	t.Parallel()
	m := boot(t)
	unit := "[Service]\nType=oneshot\nEnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\nExecStartPre=-/usr/bin/docker rm --force %N-cache\n" +
		"ExecStart=/usr/bin/docker run --detach --pull=never --name=%N-cache ${IMAGE} -sleep 60s\nExecStart=/usr/bin/docker run --pull=never --name=%N ${IMAGE}\nExecStopPost=-/usr/bin/docker rm --force %N-cache\n"
	if a := m.deploy("0.0.1-dev", own("systemd/atta.service", unit)); a.Outcome != "deployed" {
		t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
	}
}

// systemd takes True as well.
func TestAUnitThatRemainsIsTakenInCapitals(t *testing.T) {
	t.Parallel()
	m := boot(t)
	a := m.deploy("0.0.1-dev", daemon(), own("systemd/atta.service", "[Service]\nType=oneshot\nRemainAfterExit=True\nEnvironmentFile=/opt/%N/current/release.env\n"+
		"ExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=/usr/bin/docker run --detach --pull=never --name=%N ${IMAGE}\nExecStop=/usr/bin/docker stop %N\n[Install]\nWantedBy=multi-user.target\n"))
	if strings.Contains(a.Message, "background") {
		t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
	}
}

// A server that ends at once, with exit status 0. A step after it takes a moment, as one that takes the instance out of a load balancer.
func TestAServerThatEndsByItselfIsToBlameAlsoWhileItsUnitIsStopping(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	unit := strings.Replace(unitOf(t, "daemon.service"), "Restart=always", "ExecStopPost=/bin/sleep 3\nRestart=always", 1)
	a := m.deploy("0.0.2-dev", daemon(), own("systemd/atta.service", unit), parameter("image", m.push(sample.WithCmd("-sleep", "2s"))), parameter("health-timeout", "20"), parameter("min-healthy-time", "5"))
	if text := m.text("opt/atta/quarantine"); a.Code != 40 || text == "" {
		t.Errorf("%s %d %s %q; quarantine %q", a.Outcome, a.Code, a.Reason, a.Message, text)
	}
}
