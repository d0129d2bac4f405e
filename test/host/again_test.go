//go:build long && !e2e

package host_test

import (
	"slices"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// breakable is a job, or with settings a service, that fails while there is a file broken.
func breakable(settings, command string) change {
	return own("systemd/atta.service", "[Service]\nEnvironmentFile=/opt/atta/current/release.env\n"+settings+
		"ExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=/bin/sh -c 'test ! -e $ATTA_ROOT/broken || exit 9; exec docker run --pull=never --name=%N ${IMAGE}"+command+"'\n[Install]\nWantedBy=multi-user.target\n")
}

// A retry of the workflow sends the same deploy again.
func TestAJobThatFailedIsRunAgainUntilARunSucceeds(t *testing.T) {
	t.Parallel()
	m := boot(t)
	job := breakable("Type=oneshot\n", "")
	fails := func() {
		m.expect(m.deploy("0.0.1-dev", job), "rollback-failed", 41, "0.0.1-dev was installed before as well, and could not be started")
		if a := m.ask(); !slices.Contains(a.Drift, "last-run") {
			t.Errorf("drift %q", a.Drift)
		}
	}
	m.deployed("0.0.1-dev", job)
	m.sh("touch $ATTA_ROOT/broken; systemctl start atta")
	fails()
	fails()
	m.sh("rm $ATTA_ROOT/broken")
	m.deployed("0.0.1-dev", job)
	if a := m.ask(); len(a.Drift) > 0 || !a.Verified {
		t.Errorf("%+v", a.Report)
	}

	m.sh("touch $ATTA_ROOT/broken; systemctl start atta")
	fails()
	m.sh("rm $ATTA_ROOT/broken; systemctl start atta")
	m.expect(m.deploy("0.0.1-dev", job), "unchanged", 0, "runs already")
}

// A nightly run fails, and the same version is deployed while the cause lasts; the next run succeeds.
func TestARunThatSucceedsEndsTheDriftOfOneThatFailed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	job := breakable("Type=oneshot\n", "")
	m.deployed("0.0.1-dev", job)
	m.sh("touch $ATTA_ROOT/broken; systemctl start atta")
	m.expect(m.deploy("0.0.1-dev", job), "rollback-failed", 41, "0.0.1-dev was installed before as well, and could not be started")
	if a := m.ask(); !slices.Contains(a.Drift, "last-run") || !slices.Contains(a.Drift, "last-deploy") {
		t.Errorf("drift %q", a.Drift)
	}
	m.sh("rm $ATTA_ROOT/broken; systemctl start atta")
	if a := m.ask(); len(a.Drift) > 0 {
		t.Errorf("drift %q", a.Drift)
	}
}

func TestARollbackDoesNotHideThatTheJobBeforeHadFailed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	job := breakable("Type=oneshot\n", "")
	m.deployed("0.0.1-dev", job)
	m.write("broken", "", 0o644)
	m.sh("systemctl start atta")
	m.expect(m.deploy("0.0.2-dev", image(sample.WithExitCode(3))), "rolled-back", 40, "0.0.1-dev is back")
	if a := m.ask(); !slices.Contains(a.Drift, "last-run") {
		t.Errorf("drift %q", a.Drift)
	}
	m.sh("rm $ATTA_ROOT/broken")
	m.sh("systemctl start atta")
	if a := m.ask(); len(a.Drift) > 0 {
		t.Errorf("after a run that succeeded: drift %q", a.Drift)
	}
}

// After a boot, systemd does not know of the run any more.
func TestARollbackDoesNotHideAFailureThatOnlyTheEngineRemembers(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", own("systemd/atta.service", "[Service]\nType=oneshot\nEnvironmentFile=/opt/atta/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\n"+
		"ExecStart=/bin/sh -c 'test ! -e $ATTA_ROOT/broken || set -- -exit 9; exec docker run --pull=never --name=%N ${IMAGE} \"$$@\"' sh\n[Install]\nWantedBy=timers.target\n"))
	m.write("broken", "", 0o644)
	m.sh("systemctl start atta; systemctl reset-failed atta; rm $ATTA_ROOT/broken")
	m.expect(m.deploy("0.0.2-dev", image(sample.WithExitCode(3))), "rolled-back", 40, "0.0.1-dev is back")
	if a := m.ask(); !slices.Contains(a.Drift, "last-run") {
		t.Errorf("drift %q", a.Drift)
	}
	m.sh("systemctl start atta")
	if a := m.ask(); len(a.Drift) > 0 {
		t.Errorf("after a run that succeeded: drift %q", a.Drift)
	}
}

func TestAServiceThatIsStartedAgainAndAgainDoesNotRunAlready(t *testing.T) {
	t.Parallel()
	m := boot(t)
	unit := "[Service]\nEnvironmentFile=/opt/atta/current/release.env\nRestart=always\nRestartSec=1\nExecStartPre=-/usr/bin/docker rm --force %N\n" +
		"ExecStart=/bin/sh -c 'time=600s; test ! -e $ATTA_ROOT/crash || time=4s; exec docker run --rm --pull=never --name=%N ${IMAGE} -sleep $time'\n[Install]\nWantedBy=multi-user.target\n"
	service := []change{own("systemd/atta.service", unit), parameter("min-healthy-time", "8")}
	m.deployed("0.0.1-dev", service...)
	m.write("crash", "", 0o644)
	m.sh("systemctl restart atta")
	a := m.deploy("0.0.1-dev", service...)
	m.expect(a, "rollback-failed", 41, "did not stay up")
	m.sh("rm $ATTA_ROOT/crash")
	// The next start may have come first, and has stayed up then.
	if a := m.deploy("0.0.1-dev", service...); a.exit != 0 || a.Evidence != deploy.EvidenceRunning || !a.Verified {
		t.Errorf("%+v", a.Report)
	}
}

func TestWhatEndsDuringTheHealthChecksIsNotDeployed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		changes []change
		message string
	}{
		"service":     {[]change{breakable("", " -sleep 5s")}, "did not stay up"},
		"restarted":   {[]change{breakable("Restart=always\nRestartSec=0.1\n", " -sleep 5s")}, "did not stay up"},
		"job at work": {[]change{image(sample.WithCmd("-sleep", "6s"), sample.WithExitCode(3)), parameter("health-timeout", "3")}, "atta.service failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			a := m.deploy("0.0.1-dev", append(test.changes, parameter("health-command", "sleep 8"))...)
			m.expect(a, "rolled-back", 40, test.message)
		})
	}
}

func TestAJobThatEndsDuringTheHealthChecksIsVerified(t *testing.T) {
	t.Parallel()
	m := boot(t)
	a := m.deployed("0.0.1-dev", image(sample.WithCmd("-sleep", "6s")), parameter("health-timeout", "3"), parameter("health-command", "sleep 8"))
	if a.Evidence != deploy.EvidenceSucceeded || !a.Verified {
		t.Errorf("%+v", a.Report)
	}
}

func TestAJobAtWorkHasToPassItsChecksWhenItIsDeployedAgain(t *testing.T) {
	t.Parallel()
	m := boot(t)
	job := []change{image(sample.WithCmd("-sleep", "90s")), parameter("health-timeout", "1"), parameter("on-running", "kill")}
	m.deployed("0.0.1-dev", append(job, parameter("health-command", "true"))...)
	m.expect(m.deploy("0.0.1-dev", append(job, parameter("health-command", "true"))...), "unchanged", 0, "is at work already; whether this run succeeds is not known yet")
	m.expect(m.deploy("0.0.1-dev", append(job, parameter("health-command", "exit 1"))...), "rollback-failed", 41, "health-command ended with 1")
}

func TestARollbackSaysThatTheServiceWasDownBefore(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", breakable("", " -sleep 600s"))
	m.write("broken", "", 0o644)
	m.sh("systemctl restart atta; sleep 1")
	a := m.deploy("0.0.2-dev", daemon(sample.WithCmd("-sleep", "1s"), sample.WithExitCode(3)), parameter("min-healthy-time", "3"))
	m.expect(a, "rolled-back", 40, "0.0.1-dev is back; it was not running before")
}

func TestARecoveryProvesWhatItRestores(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", breakable("", " -sleep 600s"))
	m.write("broken", "", 0o644)
	k := m.withHook()
	k.attempt("0.0.2-dev", daemon(), parameter("deployment", "cut"), environment(k.before("systemctl daemon-reload")))
	m.recovered("itself")
	for range 100 {
		if a := m.ask("--about=cut"); a.About != "under-way" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if a := m.ask("--about=cut"); a.About != "rollback-failed:41" {
		t.Errorf("%+v", a.Report)
	}
}

// A job that is not started in a rollback keeps what systemd remembers of the release before.
func TestARollbackLeavesTheFailureToTheReleaseThatFailed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	m.deployed("0.0.2-dev", breakable("Type=oneshot\n", ""))
	m.sh("touch $ATTA_ROOT/broken; systemctl start atta")
	m.expect(m.rollback(""), "deployed", 0, "0.0.1-dev is installed")
	if a := m.ask(); len(a.Drift) > 0 || a.Unit == "failed" {
		t.Errorf("%s, drift %q", a.Unit, a.Drift)
	}
	m.expect(m.deploy("0.0.3-dev", image(sample.WithExitCode(3))), "rolled-back", 40, "0.0.1-dev is back")
	if a := m.ask(); len(a.Drift) > 0 {
		t.Errorf("drift %q", a.Drift)
	}
}

func TestWhatRunsIsNoTargetOfARollback(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	m.deployed("0.0.2-dev", parameter("run-on-deploy", "false"))
	m.deployed("0.0.1-dev", parameter("allow-downgrade", "true"))
	if a := m.ask(); a.Previous != "0.0.2-dev" {
		t.Errorf("the previous release is %q", a.Previous)
	}
	m.expect(m.rollback(""), "deployed", 0, "0.0.2-dev is installed")
	m.sh("ln -sfn releases/0.0.2-dev $ATTA_ROOT/opt/atta/previous")
	m.untouched(func() { m.expect(m.rollback(""), "refused", 10, "nothing to roll back to") })
}

// A rollback brings the earlier release to an instance that does not hold it.
func TestARollbackThatBringsTheReleaseLeavesNoWayBack(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.2-dev")
	m.deployed("0.0.1-dev", parameter("allow-downgrade", "true"), parameter("rollback", "true"))
	if a := m.ask(); a.Previous != "" {
		t.Errorf("the previous release is %q", a.Previous)
	}
	m.untouched(func() { m.expect(m.rollback(""), "refused", 10, "nothing to roll back to") })
	m.deployed("0.0.3-dev")
	m.expect(m.rollback(""), "deployed", 0, "0.0.1-dev is installed")
}

// The prefix of another command does not make the program's status a success.
func TestAPrefixOfAnotherCommandIsNotThePrograms(t *testing.T) {
	t.Parallel()
	m := boot(t)
	unit := own("systemd/atta.service", "[Service]\nType=oneshot\nEnvironmentFile=/opt/atta/current/release.env\nExecStart=-/usr/bin/docker rm --force %N\nExecStart=/usr/bin/docker run --pull=never --name=%N ${IMAGE}\n[Install]\nWantedBy=timers.target\n")
	m.deployed("0.0.1-dev", unit, image(sample.WithExitCode(3)), parameter("run-on-deploy", "false"))
	m.sh("systemctl start atta; systemctl reset-failed atta")
	if a := m.ask(); a.Verified || a.Evidence != deploy.EvidenceFailed {
		t.Errorf("%+v", a.Report)
	}
}

func TestAServiceWhoseHealthcheckFailsIsRolledBack(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon(sample.WithHealthCheck()))
	short := parameter("health-timeout", "15")
	m.expect(m.deploy("0.0.2-dev", daemon(sample.WithHealthCheck("-exit", "3")), short), "rolled-back", 40, "the container atta is unhealthy, by its HEALTHCHECK; its last check ended with 3: sample 0.0.2-dev done, exit 3; 0.0.1-dev is back")
	m.deployed("0.0.3-dev", daemon(sample.WithHealthCheck("-exit", "3")), own("docker.env", "DOCKER_ARGS=--no-healthcheck\n"))
	m.replace("docker", `case "$*" in *"json .State}}"*) test -e $ATTA_ROOT/asked || { touch $ATTA_ROOT/asked; exit 1; } ;; esac; `+m.passOn("docker"))
	m.expect(m.deploy("0.0.4-dev", daemon(sample.WithHealthCheck("-exit", "3")), short), "rolled-back", 40, "is unhealthy, by its HEALTHCHECK")
}

func TestAServiceThatIsStartedAgainAndAgainIsDrift(t *testing.T) {
	t.Parallel()
	m := boot(t)
	unit := "[Service]\nEnvironmentFile=/opt/atta/current/release.env\nRestart=always\nRestartSec=0.1\nExecStartPre=-/usr/bin/docker rm --force %N\n" +
		"ExecStart=/usr/bin/docker run --rm --pull=never --name=%N ${IMAGE} -sleep 20s\n[Install]\nWantedBy=multi-user.target\n"
	m.deployed("0.0.1-dev", own("systemd/atta.service", unit))
	if a := m.ask(); len(a.Drift) > 0 {
		t.Errorf("drift %q", a.Drift)
	}
	run := m.show("InvocationID")
	for m.show("InvocationID") == run || m.show("ActiveState") != "active" || m.sh("docker ps --quiet").stdout == "" {
		time.Sleep(200 * time.Millisecond)
	}
	if a := m.ask(); !slices.Contains(a.Drift, "restarts") {
		t.Errorf("drift %q", a.Drift)
	}
}
