//go:build long && !e2e

package host_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A server that takes the connection and says nothing must not hold the deploy.
func TestAHealthURLThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	m := boot(t)
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended }))
	defer server.Close()
	defer close(ended)
	a := m.deploy("0.0.1-dev", daemon(), parameter("health-url", server.URL), parameter("health-timeout", "15"))
	m.expect(a, "rolled-back", 40, server.URL+" did not answer")
}

func TestAServiceMustStayUpForAsLongAsItIsTold(t *testing.T) {
	t.Parallel()
	m := boot(t)
	begin := time.Now()
	m.deployed("0.0.1-dev", daemon(), parameter("min-healthy-time", "4"))
	if took := time.Since(begin); took < 4*time.Second {
		t.Errorf("deployed after %v", took)
	}
	falls := own("systemd/atta.service", "[Service]\nType=exec\nEnvironmentFile=/opt/atta/current/release.env\nExecStart=/usr/bin/docker run --rm --pull=never --name=%N ${IMAGE} -sleep 3s -exit 7\n")
	m.expect(m.deploy("0.0.2-dev", falls, parameter("min-healthy-time", "6")), "rolled-back", 40, "did not stay up: result exit-code, exit status 7")
}

func TestARollbackThatIsUnhealthyIsReported(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon(), settings("ExecStartPre=/bin/sh -c 'test ! -e $ATTA_ROOT/broken'"))
	m.write("broken", "", 0o644)
	a := m.deploy("0.0.2-dev", daemon(), settings("ExecStartPre=/bin/sh -c 'exit 3'"))
	m.expect(a, "rollback-failed", 41, "(atta.service did not stay up: result exit-code); the rollback to 0.0.1-dev failed: atta.service did not stay up: result exit-code")
	if a.Unit == "active" || a.Version != "0.0.1-dev" || m.exists("opt/atta/recover") {
		t.Errorf("%+v", a.Report)
	}
	m.sh("rm $ATTA_ROOT/broken")
	m.deployed("0.0.3-dev", daemon())
}

// A job that stays up when its program has ended, as compose files are started, is a
// service to whoever uses it.
func TestAJobThatStaysUpIsStartedAgainByARollback(t *testing.T) {
	t.Parallel()
	m := boot(t)
	up := func(version string) change {
		return oneshot("RemainAfterExit=yes\nExecStop=/bin/sh -c 'echo down >>$ATTA_ROOT/journal'\n", "echo up "+version+" >>$ATTA_ROOT/journal")
	}
	m.deployed("0.0.1-dev", up("1"))
	a := m.deploy("0.0.2-dev", oneshot("", "exit 3"))
	m.expect(a, "rolled-back", 40, "0.0.1-dev is back")
	if got := m.text("journal"); a.Unit != "active" || got != "up 1\ndown\nup 1\n" {
		t.Errorf("unit %s, journal %q", a.Unit, got)
	}
	m.deployed("0.0.3-dev", up("3"))
	m.expect(m.rollback(""), "deployed", 0, "0.0.1-dev ran and succeeded")
	m.sh("systemctl stop atta; : >$ATTA_ROOT/journal")
	m.deployed("0.0.1-dev", up("1"))
	if got := m.text("journal"); got != "up 1\n" {
		t.Errorf("journal %q", got)
	}
}

func TestAHealthCommandThatDoesNotEndIsEnded(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.wrap("timeout", `[ "$1 $2 $3" != "-k 5 60" ] || { shift 3; set -- -k 1 1 "$@"; }`)
	a := m.deploy("0.0.1-dev", noted("true"), parameter("health-command", "trap '' TERM; sleep 3600 & wait; sleep 3600"))
	m.expect(a, "rolled-back", 40, "health-command ended with 137") // of SIGKILL
}

func TestAHealthURLMayBeAnAddressOfIPv6(t *testing.T) {
	t.Parallel()
	hosts := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host }))
	defer server.Close()
	m := boot(t)
	// IPv4's loopback, written as an address of IPv6: it is there wherever IPv4 is.
	url := strings.Replace(server.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)
	m.deployed("0.0.1-dev", noted("true"), parameter("health-url", url+"/"))
	if host := <-hosts; "http://"+host != url {
		t.Errorf("asked for %s at %s", host, url)
	}
}

func TestCaseAHealthURLMustAnswerWell(t *testing.T) {
	t.Parallel()
	m := boot(t)
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.ProtoAtLeast(1, 1) { // as Envoy answers
			w.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		switch r.URL.RequestURI() {
		case "/warm?a=b":
			if calls.Add(1) < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		case "/moved":
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(http.StatusFound)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	m.deployed("0.0.1-dev", daemon(), parameter("health-url", server.URL+"/warm?a=b"))
	if calls.Load() != 3 {
		t.Errorf("%d calls", calls.Load())
	}
	m.deployed("0.0.2-dev", daemon(), parameter("health-url", server.URL+"/moved"))
	lost := map[string][2]string{"0.1.0-dev": {server.URL + "/lost", "answered 404, not 2xx or 3xx"}, "0.1.1-dev": {"http://127.0.0.1:1", "did not answer (does the program listen on that port, on all addresses, and does deploy/docker.env publish it?)"}, "0.1.2-dev": {"http://nowhere.invalid/", "did not answer (does the program listen on that port, on all addresses, and does deploy/docker.env publish it?)"}}
	for version, c := range sampleOf(lost) {
		a := m.deploy(version, daemon(), parameter("health-url", c[0]), parameter("health-timeout", "20"))
		m.expect(a, "rolled-back", 40, c[0]+" "+c[1]+"; 0.0.2-dev is back")
	}
}

// One unanswered query to systemd or Docker does not fail the release.
func TestAnEngineThatDoesNotAnswerOnceCondemnsNothing(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	m.replace("systemctl", `case "$*" in "show --property="*InvocationID*) test ! -e $ATTA_ROOT/silent || { rm $ATTA_ROOT/silent; exit 1; } ;; "start atta.service") touch $ATTA_ROOT/silent ;; esac; `+m.passOn("systemctl"))
	m.deployed("0.0.2-dev", daemon(), parameter("min-healthy-time", "3"))
	if m.exists("silent") {
		t.Error("it was never asked")
	}
	m.replace("docker", `case "$1 $2" in "image inspect") test ! -e $ATTA_ROOT/hiccup || { rm $ATTA_ROOT/hiccup; echo "Cannot connect to the Docker daemon" >&2; exit 1; } ;; esac; `+m.passOn("docker"))
	a := m.deploy("0.0.3-dev", oneshot("", "touch $ATTA_ROOT/hiccup; exit 3"))
	m.expect(a, "rolled-back", 40, "exit status 3; 0.0.2-dev is back")
	if a.Unit != "active" {
		t.Errorf("what was up is %s", a.Unit)
	}
}

// A release may bring more than one job, and its timers could start them in the middle.
func TestEveryJobOfTheReleaseIsWaitedForAndNoTimerStartsOne(t *testing.T) {
	t.Parallel()
	m := boot(t)
	release := []change{daemon(), timer("atta-x"), other("atta-x", "until test -e $ATTA_ROOT/enough; do sleep 0.1; done")}
	m.deployed("0.0.1-dev", release...)
	m.sh("systemctl start --no-block atta-x.service")
	m.untouched(func() {
		m.expect(m.deploy("0.0.2-dev", append(release, parameter("drain-timeout", "1"))...), "refused", 51, "a run of atta-x.service has not ended within 1 s; nothing was changed")
	})
	if got := m.sh("systemctl is-active atta-x.timer atta.service").stdout; got != "active\nactive\n" {
		t.Errorf("timer and service are %q", got)
	}
	answers := make(chan answer)
	go func() { answers <- m.attempt("0.0.3-dev", release...) }()
	for deadline := time.Now().Add(5 * time.Minute); m.sh("systemctl is-active --quiet atta-x.timer").exit == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the timer still runs")
		}
	}
	m.write("enough", "", 0o644)
	m.expect(m.parse(<-answers), "deployed", 0, "0.0.3-dev")
	if got := m.sh("systemctl is-active atta-x.timer").stdout; got != "active\n" {
		t.Errorf("the timer is %q", got)
	}
}

// reloads makes systemctl say that the service is reloading, as long as a file says so and the service is up.
func (m standin) reloads() {
	m.t.Helper()
	m.replace("systemctl", `case "$1 $2" in "stop atta.service") rm -f $ATTA_ROOT/reloading ;; "show "*)
	test ! -e $ATTA_ROOT/reloading || { (`+m.passOn("systemctl")+`) | sed 's/^ActiveState=active$/ActiveState=reloading/'; exit 0; } ;;
esac
`+m.passOn("systemctl"))
}

// A service that reads its configuration again is up.
// https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html (ActiveState)
func TestAServiceThatReloadsIsUp(t *testing.T) {
	t.Parallel()
	t.Run("before a deploy that fails", func(t *testing.T) {
		t.Parallel()
		m := bootServing(t, "0.0.1-dev")
		m.reloads()
		m.write("reloading", "", 0o644)
		if a := m.ask(); len(a.Drift) > 0 {
			t.Errorf("drift %q", a.Drift)
		}
		a := m.deploy("0.0.2-dev", daemon(), parameter("health-command", "false"))
		m.expect(a, "rolled-back", 40, "0.0.1-dev is back")
		if a.Unit != "active" || strings.Contains(a.Message, "not running") {
			t.Errorf("unit %s: %s", a.Unit, a.Message)
		}
	})
	t.Run("while it has to stay up", func(t *testing.T) {
		t.Parallel()
		m := boot(t)
		m.reloads()
		m.deployed("0.0.1-dev", daemon(), parameter("health-command", "test -e $ATTA_ROOT/reloading || { touch $ATTA_ROOT/reloading; exit 1; }"))
	})
}

// Somebody restarts a service, whose stop takes a while, when the deploy begins.
func TestAServiceThatIsBeingRestartedWasUp(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon(), settings("ExecStop=/bin/sh -c 'test ! -e $ATTA_ROOT/slow || { touch $ATTA_ROOT/stopping; until test ! -e $ATTA_ROOT/slow; do sleep 0.1; done; }'"))
	m.write("slow", "", 0o644)
	m.output("nohup systemctl restart $s >/dev/null 2>&1 &")
	m.appears("stopping")
	answers := make(chan answer)
	go func() { answers <- m.attempt("0.0.2-dev", daemon(), parameter("health-command", "false")) }()
	m.output("until grep -q ' 0.0.2-dev: drain$' $ATTA_ROOT/var/log/atta-deploy.log; do sleep 0.1; done; sleep 1; rm $ATTA_ROOT/slow")
	a := m.parse(<-answers)
	m.expect(a, "rolled-back", 40, "0.0.1-dev is back")
	if a.Unit != "active" || strings.Contains(a.Message, "not running") {
		t.Errorf("unit %s: %s", a.Unit, a.Message)
	}
}

// A job that stays up is a service to whoever uses it, also while it is being started.
func TestAJobThatIsAboutToStayUpIsStartedAgainByARollback(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", oneshot("RemainAfterExit=yes\n", "until test ! -e $ATTA_ROOT/slow; do sleep 0.1; done; echo up >>$ATTA_ROOT/journal"))
	m.output("systemctl stop $s; touch $ATTA_ROOT/slow; systemctl start --no-block $s")
	answers := make(chan answer)
	go func() { answers <- m.attempt("0.0.2-dev", oneshot("", "exit 3")) }()
	m.output("until grep -q 'waiting for a run of atta.service to end' $ATTA_ROOT/var/log/atta-deploy.log; do sleep 0.1; done; rm $ATTA_ROOT/slow")
	a := m.parse(<-answers)
	m.expect(a, "rolled-back", 40, "0.0.1-dev is back")
	if got := m.text("journal"); a.Unit != "active" || got != "up\nup\nup\n" {
		t.Errorf("unit %s, journal %q", a.Unit, got)
	}
}
