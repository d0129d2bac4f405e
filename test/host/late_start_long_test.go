//go:build long && !e2e

package host_test

import (
	"strings"
	"testing"
)

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
