//go:build long && !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

const runsRelease = "[Service]\nType=oneshot\nEnvironmentFile=/opt/%N/current/release.env\n"

// wantMark fails the test unless the release has this mark; empty: none.
func (m standin) wantMark(version, mark string) {
	m.t.Helper()
	for _, name := range []string{"verified", "installed"} {
		if m.exists("opt/atta/releases/"+version+"/"+name) != (name == mark) {
			m.t.Errorf("%s has the mark %s: %t", version, name, name != mark)
		}
	}
}

func TestARunThatHasNotSucceededVerifiesNothing(t *testing.T) {
	t.Parallel()
	later := parameter("run-on-deploy", "false")
	t.Run("a container that was only made", func(t *testing.T) {
		m := boot(t)
		m.deployed("0.0.1-dev", later)
		m.output("docker create --name=$s $(sed -n s/^IMAGE=//p $ATTA_ROOT/opt/$s/current/release.env)")
		if a := m.ask(); a.Evidence != deploy.EvidenceNotRun || a.Verified {
			t.Errorf("%+v", a.Report)
		}
		m.wantMark("0.0.1-dev", "installed")
	})
	t.Run("a unit that has more to do", func(t *testing.T) {
		m := boot(t)
		m.deployed("0.0.1-dev", own("systemd/atta.service", runsRelease+runsImage+"ExecStart=/bin/sh -c 'touch $ATTA_ROOT/more; until test -e $ATTA_ROOT/enough; do sleep 0.1; done; exit 5'\n"), later)
		m.output("systemctl start --no-block $s")
		m.appears("more")
		if a := m.ask(); a.Evidence != deploy.EvidenceAtWork || a.Verified {
			t.Errorf("%+v", a.Report)
		}
		m.write("enough", "", 0o644)
		m.output("until systemctl is-failed $s; do sleep 0.1; done")
		m.wantMark("0.0.1-dev", "installed")
	})
	t.Run("a run that failed", func(t *testing.T) {
		m := bootDeployed(t, "0.0.1-dev")
		m.deployed("0.0.2-dev", image(sample.WithExitCode(3)), later)
		m.sh("systemctl start atta")
		if a := m.ask(); a.Evidence != deploy.EvidenceFailed || a.Verified || strings.Join(a.Releases, " ") != "0.0.1-dev" {
			t.Errorf("%+v", a.Report)
		}
		m.wantMark("0.0.2-dev", "")
		m.deployed("0.0.3-dev")
		if a := m.ask(); a.Previous != "0.0.1-dev" {
			t.Errorf("%+v", a.Report)
		}
	})
	t.Run("the same release, run and found unhealthy", func(t *testing.T) {
		m := boot(t)
		m.deployed("0.0.1-dev", image(sample.WithExitCode(3)), later)
		m.expect(m.deploy("0.0.1-dev", image(sample.WithExitCode(3))), "rollback-failed", 41, "exit status 3; the rollback to 0.0.1-dev failed: 0.0.1-dev was installed before as well")
		m.wantMark("0.0.1-dev", "")
	})
}

func TestAStatusLooksAtOneReleaseAndMarksNoOther(t *testing.T) {
	t.Parallel()
	m := boot(t)
	later := parameter("run-on-deploy", "false")
	m.deployed("0.0.1-dev", later)
	m.output("systemctl start $s")
	next := m.prepare("0.0.2-dev", later)
	m.replace("docker", `if [ "$1 $2" = "image inspect" ] && [ -e $ATTA_ROOT/slow ]; then rm $ATTA_ROOT/slow; touch $ATTA_ROOT/asking; sleep 3; fi
`+m.passOn("docker"))
	m.write("slow", "", 0o644)
	answers := make(chan answer)
	go func() { answers <- m.ask() }()
	m.appears("asking")
	m.expect(m.read(script(next.args)), "deployed", 0, "0.0.2-dev is installed")
	if a := <-answers; a.Version != "0.0.1-dev" || !a.Verified {
		t.Errorf("%+v", a.Report)
	}
	m.wantMark("0.0.1-dev", "verified")
	m.wantMark("0.0.2-dev", "installed")
}

func TestContainersOfOtherNamesAreNoEvidence(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	prepares := own("systemd/atta.service", runsRelease+"ExecStartPre=/usr/bin/docker run --rm --pull=never --name=%N-migrate ${IMAGE}\nExecStart=/bin/sh -c 'true' --name=%N ${IMAGE}\n")
	m.expect(m.deploy("0.0.2-dev", prepares), "rolled-back", 30, "atta.service: no container is named atta")
	if m.exists("opt/atta/quarantine") {
		t.Error("an image that was not seen is quarantined")
	}
	other := m.output("sed -n s/^IMAGE=//p $ATTA_ROOT/opt/$s/current/release.env")
	notifies := own("systemd/atta.service", runsRelease+"ExecStart=/usr/bin/docker run --rm --pull=never --name=%N ${IMAGE}\nExecStartPost=/usr/bin/docker run --rm --pull=never --name=%N-notify "+other+"\n")
	m.deployed("0.0.3-dev", notifies)
}

func TestAJobThatSucceededIsNotCondemned(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string][]change{
		"docker.env has --rm":         {own("docker.env", "DOCKER_ARGS=--rm\n")},
		"the unit removes it":         {own("systemd/atta.service", runsRelease+runsImage+"ExecStopPost=-/usr/bin/docker rm --force %N\n")},
		"another status is a success": {own("systemd/atta.service", runsRelease+"SuccessExitStatus=3\n"+runsImage), image(sample.WithExitCode(3))},
		"a named status is one":       {own("systemd/atta.service", runsRelease+"SuccessExitStatus=DATAERR TEMPFAIL\n"+runsImage), image(sample.WithExitCode(75))},
		"a failure is ignored":        {own("systemd/atta.service", runsRelease+"ExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=+-/usr/bin/docker run --pull=never --name=%N ${IMAGE}\n"), image(sample.WithExitCode(9))},
		"the name is quoted":          {own("systemd/atta.service", runsRelease+"ExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=/usr/bin/docker run --pull=never \\\n# by name\n  --name \"%N\" ${IMAGE}\n")},
		"the engine fails to answer":  {},
		"a timer that is due at once": {own("systemd/atta.timer", "[Timer]\nOnBootSec=1s\nOnUnitActiveSec=1h\n[Install]\nWantedBy=timers.target\n"), image(sample.WithCmd("-sleep", "1s"))},
	} {
		t.Run(name, func(t *testing.T) {
			m := boot(t)
			if len(changes) == 0 {
				m.replace("docker", `if [ "$1 $2" = "container inspect" ] && [ -e $ATTA_ROOT/ran ] && [ ! -e $ATTA_ROOT/once ]; then touch $ATTA_ROOT/once; echo 'Cannot connect to the Docker daemon' >&2; exit 1; fi
[ "$1" != run ] || touch $ATTA_ROOT/ran
`+m.passOn("docker"))
			}
			a := m.readResult(m.attempt("0.0.1-dev", changes...))
			m.expect(a, "deployed", 0, "0.0.1-dev ran and succeeded")
			if a.Evidence != deploy.EvidenceSucceeded || !a.Verified {
				t.Errorf("%+v", a.Report)
			}
		})
	}
}

func TestAContainerThatDiedUnderAnActiveUnitIsDrift(t *testing.T) {
	t.Parallel()
	m := boot(t)
	leaves := own("systemd/atta.service", runsRelease+"RemainAfterExit=yes\nExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=/usr/bin/docker run --detach --pull=never --name=%N ${IMAGE}\n")
	m.deployed("0.0.1-dev", leaves, image(sample.WithCmd("-sleep", "600s"), sample.WithExitCode(3)))
	m.output("docker kill $s; until docker container inspect --format '{{.State.Status}}' $s | grep -q exited; do sleep 0.1; done")
	if a := m.ask(); a.Evidence != deploy.EvidenceFailed || strings.Join(a.Drift, " ") != "container" {
		t.Errorf("%+v", a.Report)
	}
	m.expect(m.deploy("0.0.1-dev", leaves, image(sample.WithCmd("-sleep", "600s"), sample.WithExitCode(3))), "deployed", 0, "0.0.1-dev runs")
}

func TestAJobThatPowerHasCutOffIsRunAgain(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	m.output("docker rm --force $s; docker run --detach --name=$s --label=service=$s $(sed -n s/^IMAGE=//p $ATTA_ROOT/opt/$s/current/release.env) -sleep 600s; docker kill $s; until docker container inspect --format '{{.State.Status}}' $s | grep -q exited; do sleep 0.1; done")
	if a := m.ask(); a.Evidence != deploy.EvidenceFailed || strings.Join(a.Drift, " ") != "last-run" {
		t.Errorf("%+v", a.Report)
	}
	m.expect(m.deploy("0.0.1-dev"), "deployed", 0, "0.0.1-dev ran and succeeded")
}

func TestAJobThatIsAtWorkIsNotRunTwice(t *testing.T) {
	t.Parallel()
	m := boot(t)
	job := []change{image(sample.WithCmd("-sleep", "60s")), parameter("health-timeout", "1")}
	m.deployed("0.0.1-dev", job...)
	run := m.invocation()
	a := m.deploy("0.0.1-dev", job...)
	m.expect(a, "unchanged", 0, "0.0.1-dev")
	if a.Evidence != deploy.EvidenceAtWork || a.Verified || m.invocation() != run {
		t.Errorf("%+v", a.Report)
	}
	m.sh("systemctl stop atta")
}

func TestACommandIsStoppedByALaterOneWhileItDownloads(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", parameter("generation", "1"))
	m.replace("aws", `[ "$1" != s3 ] || { touch $ATTA_ROOT/loading; until test -e $ATTA_ROOT/go; do sleep 0.1; done; }
`+m.awsWithKeys())
	answers := make(chan answer)
	go func() { answers <- m.attempt("0.0.2-dev", parameter("generation", "2")) }()
	m.appears("loading")
	m.ask("--generation=3")
	m.write("go", "", 0o644)
	m.expect(m.parse(<-answers), "refused", 50, "a later run, of generation 3, has started since; nothing was changed")
}

func TestTwoStatusCommandsDoNotTakeEachOtherForADeploy(t *testing.T) {
	t.Parallel()
	m := boot(t)
	if a := m.ask(); a.Previous != "" {
		t.Errorf("previous is %q", a.Previous)
	}
	m.deployed("0.0.1-dev")
	if a := m.ask(); a.Previous != "" {
		t.Errorf("previous is %q", a.Previous)
	}
	for range 3 {
		other := make(chan answer)
		go func() { other <- m.ask() }()
		if a, b := m.ask(), <-other; a.Busy || b.Busy {
			t.Errorf("busy %t and %t", a.Busy, b.Busy)
		}
	}
}

// detached makes the release a job that leaves a container running, as a service.
func detached() change {
	return own("systemd/atta.service", runsRelease+"RemainAfterExit=yes\nExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=/usr/bin/docker run --detach --pull=never --name=%N ${IMAGE}\n")
}

func TestADetachedServiceThatIsDownIsDriftAndStartedAgain(t *testing.T) {
	t.Parallel()
	m := boot(t)
	serves := []change{detached(), image(sample.WithCmd("-serve"), sample.WithEnv("PORT", "0"))}
	m.deployed("0.0.1-dev", serves...)
	for _, c := range []struct{ down, drift string }{
		{"systemctl stop $s; docker rm --force $s", "inactive"},
		{"docker rm --force $s", "container"},
		{"docker stop $s", "container"}, // it exits with 0
	} {
		m.output(c.down)
		if a := m.ask(); strings.Join(a.Drift, " ") != c.drift {
			t.Errorf("%s: %q, %+v", c.down, a.Drift, a.Report)
		}
		m.expect(m.deploy("0.0.1-dev", serves...), "deployed", 0, "0.0.1-dev runs")
		if a := m.ask(); len(a.Drift) > 0 {
			t.Errorf("after %s: %q", c.down, a.Drift)
		}
	}
}

func TestADetachedJobMayEndWithinTheTimeThatAServiceHasToStayUp(t *testing.T) {
	t.Parallel()
	m := boot(t)
	a := m.deployed("0.0.1-dev", detached(), image(sample.WithCmd("-sleep", "1s")), parameter("min-healthy-time", "3"))
	if a.Evidence != deploy.EvidenceSucceeded {
		t.Errorf("%+v", a.Report)
	}
}

func TestAFailureSurvivesResetFailed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", image(sample.WithExitCode(3)), parameter("run-on-deploy", "false"))
	m.sh("systemctl start atta; systemctl reset-failed atta")
	if a := m.ask(); a.Evidence != deploy.EvidenceFailed || a.Verified {
		t.Errorf("%+v", a.Report)
	}
	m.wantMark("0.0.1-dev", "")
}

// Its unit is up for as long as another process of it is.
func TestAContainerThatWasRemovedByHandIsStartedAgain(t *testing.T) {
	t.Parallel()
	m := boot(t)
	unit := own("systemd/atta.service", "[Service]\nEnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\n"+
		"ExecStart=/bin/sh -c 'docker run --pull=never --detach --name=%N ${IMAGE} -sleep 600s && exec sleep 600'\n[Install]\nWantedBy=multi-user.target\n")
	m.deployed("0.0.1-dev", unit)
	m.untouched(func() { m.expect(m.deploy("0.0.1-dev", unit), "unchanged", 0, "") })
	m.sh("docker rm --force atta")
	if a := m.ask(); a.Unit != "active" || strings.Join(a.Drift, " ") != "container" {
		t.Errorf("unit %s, drift %v", a.Unit, a.Drift)
	}
	m.deployed("0.0.1-dev", unit)
	if a := m.ask(); a.Evidence != deploy.EvidenceRunning {
		t.Errorf("%+v", a.Report)
	}
}
