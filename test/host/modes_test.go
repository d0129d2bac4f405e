//go:build !e2e

package host_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
)

// noted is a job that writes down that it ran, and then runs a command.
func noted(command string) change { return oneshot("", "echo run >>$ATTA_ROOT/journal; "+command) }

func TestAJobThatIsNotToRunOnDeployIsInstalledOnly(t *testing.T) {
	t.Parallel()
	m := boot(t)
	later := parameter("run-on-deploy", "false")
	a := m.deployed("0.0.1-dev", noted("exit 3"), later)
	if !strings.Contains(a.Message, "0.0.1-dev is installed; run by its timer or systemctl start atta") || a.Evidence != deploy.EvidenceNotRun || a.Verified || m.exists("journal") {
		t.Errorf("%+v; the job left %q", a.Report, m.text("journal"))
	}
	m.deployed("0.0.2-dev", noted("true"), later)
	if a := m.ask(); a.Verified || a.Previous != "0.0.1-dev" || !slices.Equal(a.Releases, []string{"0.0.2-dev", "0.0.1-dev"}) {
		t.Errorf("installed only: %+v", a.Report)
	}
	m.sh("systemctl start atta")
	if a := m.ask(); !a.Verified || a.Evidence != deploy.EvidenceSucceeded {
		t.Errorf("after a run that succeeded: %+v", a.Report)
	}
	m.untouched(func() { m.expect(m.deploy("0.0.2-dev", noted("true"), later), "unchanged", 0, "runs already") })
	if got := m.text("journal"); got != "run\n" {
		t.Errorf("the job left %q", got)
	}
	m.untouched(func() {
		m.expect(m.deploy("0.0.3-dev", daemon(), later), "refused", 10, "run-on-deploy: false is for jobs, and deploy/systemd/atta.service is not Type=oneshot")
	})
}

// A program that is stopped may exit with 0 although it has not done its work. Before systemd 232 a run has
// no id.
func TestAJobThatIsStoppedIsNotVerified(t *testing.T) {
	t.Parallel()
	for name, hasID := range map[string]bool{"a run has an id": true, "it has none": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			if !hasID {
				m.replace("systemctl", `case $1 in show) `+m.passOn("systemctl")+` | sed '/^InvocationID=/d' ;; *) `+m.passOn("systemctl")+` ;; esac`)
			}
			later := parameter("run-on-deploy", "false")
			m.write("opt/atta/.env", "GRACEFUL=yes\nSLEEP=60s\nGREETING=hello\n", 0o600)
			m.deployed("0.0.1-dev", later)
			m.sh(`systemctl start --no-block atta; until docker logs atta 2>&1 | grep -q sample; do sleep 0.1; done; systemctl stop atta`)
			if a := m.ask(); a.Verified || a.Evidence != deploy.EvidenceNotRun || len(a.Drift) > 0 {
				t.Errorf("after a run that was stopped: %+v", a.Report)
			}
			a := m.deploy("0.0.1-dev", later)
			m.expect(a, "unchanged", 0, "0.0.1-dev is installed already, and no run of it has succeeded yet")
			if a.Verified || a.Evidence != deploy.EvidenceNotRun {
				t.Errorf("deployed again after a run that was stopped: %+v", a.Report)
			}
			m.deployed("0.0.2-dev", later)
			if m.exists("opt/atta/releases/0.0.1-dev/verified") {
				t.Error("the next deploy has verified the run that was stopped")
			}
			m.write("opt/atta/.env", "GREETING=hello\n", 0o600)
			m.sh("systemctl start atta")
			if a := m.ask(); !a.Verified || a.Evidence != deploy.EvidenceSucceeded {
				t.Errorf("after a run that came to its end: %+v", a.Report)
			}
			m.expect(m.deploy("0.0.2-dev", later), "unchanged", 0, "0.0.2-dev runs already and was seen healthy")
		})
	}
}

func TestAJobInFlightIsEndedWhenThatIsWanted(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", noted("test ! -e $ATTA_ROOT/slow || exec sleep 60; echo ended >>$ATTA_ROOT/journal"))
	m.write("slow", "", 0o644)
	m.sh("systemctl start --no-block atta")
	m.deployed("0.0.2-dev", noted("true"), parameter("on-running", "kill"))
	if got := m.text("journal"); got != "run\nended\nrun\nrun\n" {
		t.Errorf("the jobs left %q", got)
	}
}

func TestAServiceThatRunsAndIsUnhealthyIsStartedAgain(t *testing.T) {
	t.Parallel()
	m := boot(t)
	// The run whose id is in the file is unhealthy.
	check := parameter("health-command", `test "$(cat $ATTA_ROOT/unhealthy)" != "$(systemctl show --value --property=InvocationID atta)"`)
	m.write("unhealthy", "", 0o644)
	m.deployed("0.0.1-dev", daemon(), check)
	m.untouched(func() { m.expect(m.deploy("0.0.1-dev", daemon(), check), "unchanged", 0, "runs already") })
	m.write("unhealthy", m.show("InvocationID"), 0o644)
	m.expect(m.deploy("0.0.1-dev", daemon(), check), "deployed", 0, "0.0.1-dev runs")
	m.untouched(func() { m.expect(m.deploy("0.0.1-dev", daemon(), check), "unchanged", 0, "runs already") })
}

func TestAHealthCommandDecides(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", noted("true"), parameter("health-command", `echo "$SERVICE $VERSION" >$ATTA_ROOT/checked`))
	if got := m.text("checked"); got != "atta 0.0.1-dev\n" {
		t.Errorf("the command saw %q", got)
	}
	a := m.deploy("0.0.2-dev", noted("true"), parameter("health-command", "echo the queue is full >&2; exit 194"))
	m.expect(a, "rolled-back", 40, "health-command ended with 194; 0.0.1-dev is back")
	if !strings.Contains(m.text("var/log/atta-deploy.log"), "the queue is full") {
		t.Error("the log lacks the command's own words")
	}
	m.deployed("0.0.3-dev", daemon(), parameter("health-command", "test -e $ATTA_ROOT/warm || { touch $ATTA_ROOT/warm; exit 1; }"))
	a = m.deploy("0.0.4-dev", daemon(), parameter("health-command", "false"), parameter("health-timeout", "3"))
	m.expect(a, "rolled-back", 40, "health-command ended with 1; 0.0.3-dev is back")
	if a.Unit != "active" {
		t.Errorf("unit %s", a.Unit)
	}
}

// A unit that is up without a container of the release runs something else.
func TestAServiceThatRunsAnotherImageIsRolledBack(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	something := own("systemd/atta.service", "[Service]\nType=exec\nExecStart=/bin/sh -c 'exec sleep 600' --name=%N ${IMAGE}\n")
	a := m.deploy("0.0.2-dev", something, parameter("health-timeout", "3"))
	m.expect(a, "rolled-back", 30, "atta.service: no container is named atta")
	if a.Unit != "active" {
		t.Errorf("unit %s", a.Unit)
	}
}

// A job that somebody stops in its first run has proved nothing, neither way.
func TestAJobStoppedInItsFirstRunIsRolledBackAndNotQuarantined(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", noted("true"))
	answers := make(chan answer)
	go func() {
		answers <- m.attempt("0.0.2-dev", oneshot("", "trap \"exit 0\" TERM; touch $ATTA_ROOT/begun; while :; do sleep 0.1; done"))
	}()
	m.appears("begun")
	m.sh("systemctl stop atta")
	m.expect(m.parse(<-answers), "rolled-back", 30, "atta.service was stopped before its end: ")
	if m.exists("opt/atta/quarantine") {
		t.Error(m.text("opt/atta/quarantine"))
	}
}

// systemd listens for the service (atta.socket, or systemd-socket-proxyd in front of it), and starts it when somebody connects. The
// question whether something else answers while it is stopped is such a connection.
func TestAServiceThatAConnectionStartsIsDeployed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	systemd := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		m.sh("systemctl start atta") // as systemd does for a socket
	}))
	defer systemd.Close()
	for _, version := range []string{"0.0.1-dev", "0.0.2-dev"} {
		a := m.deploy(version, daemon(), parameter("health-url", systemd.URL+"/health"), parameter("health-timeout", "10"), parameter("min-healthy-time", "1"))
		if a.Outcome != "deployed" {
			t.Errorf("%s: a healthy release is lost: %s %d: %s", version, a.Outcome, a.Code, a.Message)
		}
	}
}

// systemd listens for the service, whose program needs longer to answer than the question whether something else does.
func TestASlowServiceThatAConnectionStartsIsDeployed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	systemd := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		m.sh("systemctl start atta") // as systemd does for a socket
		time.Sleep(3 * time.Second)
	}))
	defer systemd.Close()
	for _, version := range []string{"0.0.1-dev", "0.0.2-dev"} {
		a := m.deploy(version, daemon(), parameter("health-url", systemd.URL+"/health"), parameter("health-timeout", "20"), parameter("min-healthy-time", "1"))
		if a.Outcome != "deployed" {
			t.Errorf("%s: a healthy release is lost: %s %d: %s", version, a.Outcome, a.Code, a.Message)
		}
	}
}
