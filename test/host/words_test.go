//go:build !e2e

package host_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
)

func TestTheLogOfAFailedReleaseHoldsItsOwnLinesOnly(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", oneshot("", "echo words of the first"))
	a := m.deploy("0.0.2-dev", oneshot("", "echo words of the second; exit 3"))
	m.expect(a, "rolled-back", 40, "")
	if !strings.Contains(a.stdout, "words of the second") || strings.Contains(a.stdout, "words of the first") {
		t.Errorf("the log is\n%s", a.stdout)
	}
}

func TestAStatusWithoutAnEngineSaysSo(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	m.replace("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
	if a := m.ask(); !slices.Equal(a.Drift, []string{"engine"}) || a.Evidence != deploy.EvidenceUnsaid || !strings.Contains(a.Message, "the Docker engine does not answer") {
		t.Errorf("%+v", a.Report)
	}
	if got := m.byHand("status").stdout; !strings.Contains(got, "container      the Docker engine does not answer\n") {
		t.Errorf("by hand:\n%s", got)
	}
}

func TestACommandThatCameAndEndedEarlyIsNotOneThatNeverCame(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	k := m.withHook()
	k.attempt("0.0.2-dev", parameter("deployment", "came"), environment(k.before("aws s3 cp")))
	for about, want := range map[string]string{"came": deploy.AboutBegun, "cam": deploy.AboutNone, "never": deploy.AboutNone} {
		if a := m.ask("--about=" + about); a.About != want {
			t.Errorf("about %s: %q, want %q", about, a.About, want)
		}
	}
}

func TestARollbackOfAnUnknownServiceLeavesNothing(t *testing.T) {
	t.Parallel()
	m := boot(t)
	before := m.tree("")
	a := m.send([]string{"rollback", "--service=atta", "--deployment=d", "--not-after=" + fmt.Sprint(time.Now().Add(time.Hour).Unix())})
	m.expect(a, "refused", 10, "no release of atta is installed here")
	m.same(before, m.tree(""))
}

func TestAQuarantinedImageThatTheVersionWasHealthyWithIsNotRefused(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	_, digest, _ := strings.Cut(m.output("sed -n s/^IMAGE=//p $ATTA_ROOT/opt/atta/current/release.env"), "@")
	m.write("opt/atta/quarantine", digest+" 0.0.9-dev was found unhealthy\n", 0o600)
	m.expect(m.byHandRead("0.0.1-dev 0.0.1-dev"), "unchanged", 0, "0.0.1-dev runs already")
}

// byHandRead runs the installed release's script, and reads its result line.
func (m standin) byHandRead(arguments string) answer {
	m.t.Helper()
	return m.read("exec $ATTA_ROOT/opt/atta/current/deploy/ec2_deploy.sh " + arguments)
}
