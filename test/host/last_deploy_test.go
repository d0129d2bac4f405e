//go:build !e2e

package host_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/localaws/sample"
)

// bootRollbackFailed returns an instance on which 0.0.1-dev is up, but did not pass its checks in a rollback: they fail as long
// as the file outage is there.
func bootRollbackFailed(t *testing.T) (m standin, outage string, checked []change) {
	t.Helper()
	m, outage = boot(t), filepath.Join(t.TempDir(), "outage")
	checked = []change{daemon(), parameter("health-command", "test ! -e "+outage), parameter("health-timeout", "3"), parameter("min-healthy-time", "1")}
	m.deployed("0.0.1-dev", checked...)
	if err := os.WriteFile(outage, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m.expect(m.deploy("0.0.2-dev", checked...), "rollback-failed", 41, "")
	return m, outage, checked
}

// A status does not run health checks, and what is up need not pass them.
func TestAStatusAfterAFailedRollbackIsDrifted(t *testing.T) {
	t.Parallel()
	m, outage, checked := bootRollbackFailed(t)
	m.expect(m.deploy("0.0.2-dev", checked...), "refused", 10, "this image is quarantined")
	if a := m.ask(); a.Version != "0.0.1-dev" || a.Unit != "active" || !slices.Equal(a.Drift, []string{"last-deploy"}) {
		t.Errorf("the status is %+v", a.Report)
	}
	if err := os.Remove(outage); err != nil {
		t.Fatal(err)
	}
	m.expect(m.deploy("0.0.1-dev", checked...), "unchanged", 0, "")
	if a := m.ask(); len(a.Drift) > 0 {
		t.Errorf("the status is %+v", a.Report)
	}
	m.sh("rm $ATTA_ROOT/opt/atta/history")
	if a := m.ask(); a.Version != "0.0.1-dev" || len(a.Drift) > 0 {
		t.Errorf("without a history, the status is %+v", a.Report)
	}
}

// rebootAt reboots the instance while 0.0.3-dev is deployed, once the state of that deploy has this line, and awaits the rollback
// and the start of the service.
func (m standin) rebootAt(line string, changes ...change) {
	m.t.Helper()
	ended := make(chan answer, 1)
	go func() {
		ended <- m.attempt("0.0.3-dev", append([]change{daemon(), parameter("deployment", "held"), parameter("allow-quarantined", "true")}, changes...)...)
	}()
	for state := ""; !strings.Contains(state, "DEPLOYMENT=held\n") || !strings.Contains(state, "\n"+line+"\n"); time.Sleep(5 * time.Millisecond) {
		state = m.text("opt/atta/state")
	}
	if err := m.Reboot(); err != nil {
		m.t.Fatal(err)
	}
	<-ended
	m.recovered("boot")
	m.awaitContainer()
}

// awaitContainer waits until the container of the service is running.
func (m standin) awaitContainer() {
	m.t.Helper()
	m.sh(`until [ "$(docker container inspect --format '{{.State.Status}}' atta 2>/dev/null)" = running ]; do sleep 0.1; done`)
}

// wantFailedRollback fails the test unless a status says that the rollback to 0.0.1-dev has failed, which nothing has proved wrong since.
func (m standin) wantFailedRollback() {
	m.t.Helper()
	if a := m.ask(); a.Version != "0.0.1-dev" || !slices.Contains(a.Drift, "last-deploy") {
		m.t.Errorf("the rollback failed, no check has passed since, and the status is %+v\n%s", a.Report, m.text("opt/atta/history"))
	}
}

// At boot nobody asks whether what a rollback installs is healthy, so it does not end the drift of the one that failed before.
func TestARollbackAtBootDoesNotHideARollbackThatFailed(t *testing.T) {
	t.Parallel()
	m, _, _ := bootRollbackFailed(t)
	m.rebootAt("REACHED=health", parameter("min-healthy-time", "600"), parameter("health-timeout", "900"))
	m.wantFailedRollback()
}

// A message has 600 characters, and what was restored comes last: a step that has printed a long line takes its room.
func TestARollbackAtBootWithALongMessageDoesNotHideARollbackThatFailed(t *testing.T) {
	t.Parallel()
	m, _, _ := bootRollbackFailed(t)
	step := "ExecStartPre=/bin/sh -c 'echo " + strings.Repeat("no such device, ", 45) + "; exit 1'\n"
	unit := strings.NewReplacer("RestartSec=5", "RestartSec=30", "Restart=always", step+"Restart=always").Replace(unitOf(t, "daemon.service"))
	m.rebootAt("CODE=30", own("systemd/atta.service", unit))
	m.wantFailedRollback()
}

// A rollback to a service that was down does not ask whether it is healthy.
func TestARollbackToAServiceThatWasDownDoesNotHideARollbackThatFailed(t *testing.T) {
	t.Parallel()
	m, _, _ := bootRollbackFailed(t)
	m.output("systemctl stop atta")
	a := m.deploy("0.0.3-dev", daemon(), parameter("health-command", "false"), parameter("health-timeout", "3"), parameter("allow-quarantined", "true"))
	m.expect(a, "rolled-back", 40, "it was not running before")
	m.output("systemctl start atta")
	m.wantFailedRollback()
}

// The previous release of a job with RemainAfterExit does not pass its checks in a rollback either. Its run ended with 0 before that,
// and nothing has succeeded since.
func TestAStatusAfterAFailedRollbackOfAJobThatStaysUpIsDrifted(t *testing.T) {
	t.Parallel()
	m, outage := boot(t), filepath.Join(t.TempDir(), "outage")
	stays := own("systemd/atta.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nEnvironmentFile=/opt/%N/current/release.env\n"+runsImage+"[Install]\nWantedBy=multi-user.target\n")
	checked := []change{stays, parameter("health-command", "test ! -e "+outage), parameter("health-timeout", "5"), parameter("min-healthy-time", "1")}
	m.deployed("0.0.1-dev", checked...)
	if err := os.WriteFile(outage, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m.expect(m.deploy("0.0.2-dev", checked...), "rollback-failed", 41, "")
	m.wantFailedRollback()
}

// A service whose container stays when it has ended is stopped and started again. That a service has ended with 0 says nothing about its
// health checks, which still fail.
func TestStoppingAServiceDoesNotHideARollbackThatFailed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	keeps := own("systemd/atta.service", strings.NewReplacer("run --rm ", "run ", "ExecStopPost=", "# ").Replace(unitOf(t, "daemon.service")))
	checked := []change{daemon(), keeps, parameter("health-command", "test ! -e $ATTA_ROOT/outage"), parameter("health-timeout", "3"), parameter("min-healthy-time", "1")}
	m.deployed("0.0.1-dev", checked...)
	m.write("outage", "", 0o644)
	m.expect(m.deploy("0.0.2-dev", checked...), "rollback-failed", 41, "")
	m.wantFailedRollback()
	m.output("systemctl stop atta")
	m.ask()
	m.output("systemctl start atta")
	m.awaitContainer()
	m.wantFailedRollback()
}

// A repository may have its own ec2_deploy.sh (docs/instance.md). It knows of no mark, and its result line says that its rollback failed.
func TestARollbackThatFailedInAScriptOfOnesOwnIsNotInSync(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	script := `#!/bin/bash
[[ $1 != check ]] || exit 0
printf 'ATTA_RESULT {"v":1,"deployment":"%s","service":"atta","outcome":"rollback-failed","code":41,"reason":"unhealthy","phase":"health","wanted":"0.0.2-dev","version":"0.0.1-dev","digest":"","verified":true,"evidence":"running","before":"0.0.1-dev","generation":0,"unit":"active","result":"success","exit":0,"ms":{},"message":"0.0.1-dev is back and not healthy"}\n' "$ATTA_DEPLOYMENT"
exit 41
`
	m.expect(m.deploy("0.0.2-dev", daemon(), own("ec2_deploy.sh", script)), "rollback-failed", 41, "")
	m.wantFailedRollback()
}

// bootFailedJobRollback returns an instance on which a rollback to the job 0.0.1-dev failed, since the engine did not answer; it does now.
func bootFailedJobRollback(t *testing.T) standin {
	t.Helper()
	m := boot(t)
	m.deployed("0.0.1-dev")
	m.replace("docker", `case "$*" in "image inspect"*) grep -q '^REACHED=health' "$ATTA_ROOT/opt/atta/state" 2>/dev/null && test -e "$ATTA_ROOT/outage" && exit 1 ;; esac
`+m.passOn("docker"))
	m.write("outage", "", 0o644)
	m.expect(m.deploy("0.0.2-dev", image(sample.WithExitCode(3))), "rollback-failed", 41, "")
	m.output("rm $ATTA_ROOT/outage")
	return m
}

// wantInSync fails the test unless a status names no drift.
func (m standin) wantInSync() {
	m.t.Helper()
	if a := m.ask(); len(a.Drift) > 0 {
		m.t.Errorf("the last rollback or deploy succeeded, and the drift is %q\n%s", a.Drift, m.text("opt/atta/history"))
	}
}

// Another release was deployed since, and a later rollback to the job succeeds. The last rollback has not failed.
func TestARollbackToAJobAfterAnEarlierOneFailedIsInSync(t *testing.T) {
	t.Parallel()
	m := bootFailedJobRollback(t)
	m.deployed("0.0.3-dev")
	m.wantInSync()
	m.expect(m.rollback("0.0.1-dev"), "deployed", 0, "0.0.1-dev is installed")
	m.wantInSync()
}

// No run of the job since: deploying it again is not green without one.
func TestAJobAfterARollbackThatFailedIsNotGreenWithoutARun(t *testing.T) {
	t.Parallel()
	m := bootFailedJobRollback(t)
	m.expect(m.deploy("0.0.1-dev"), "deployed", 0, "0.0.1-dev ran and succeeded")
	m.wantInSync()
}

// On a disk that is full to the last inode no file can be made: here, since a link of the mark's name leads nowhere.
func TestAFailedRollbackIsMarkedOnAFullDisk(t *testing.T) {
	t.Parallel()
	m := boot(t)
	checked := []change{daemon(), parameter("health-command", "test ! -e $ATTA_ROOT/outage"), parameter("health-timeout", "3"), parameter("min-healthy-time", "1")}
	m.deployed("0.0.1-dev", checked...)
	m.write("outage", "", 0o644)
	m.output("ln -s /nonexistent/file $ATTA_ROOT/opt/atta/releases/0.0.1-dev/rollback-failed")
	m.expect(m.deploy("0.0.2-dev", checked...), "rollback-failed", 41, "")
	m.wantFailedRollback()
}
