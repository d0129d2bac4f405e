//go:build !e2e

package host_test

import (
	"context"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
)

// logWatcher collects a live log, and closes seen when it has a text.
type logWatcher struct {
	text strings.Builder
	want string
	seen chan struct{}
}

func (w *logWatcher) Write(p []byte) (int, error) {
	had := strings.Contains(w.text.String(), w.want)
	n, err := w.text.Write(p)
	if !had && strings.Contains(w.text.String(), w.want) {
		close(w.seen)
	}
	return n, err
}

// deployLive deploys with a live log, and calls meanwhile when that has the text want.
func (m standin) deployLive(version, want string, meanwhile func(), changes ...change) (answer, string) {
	m.t.Helper()
	ctx, stop := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer stop()
	command := m.prepare(version, append(changes, parameter("live-log", "true"))...)
	log := &logWatcher{want: want, seen: make(chan struct{})}
	done := make(chan answer)
	go func() {
		exit := m.RunLive(ctx, script(command.args), command.env, io.Discard, log)
		done <- answer{exit: exit.Code, stdout: string(exit.Stdout), stderr: string(exit.Stderr)}
	}()
	select {
	case <-log.seen:
	case a := <-done:
		m.t.Fatalf("the live log never had %q:\n%s%s", want, a.stdout, a.stderr)
	}
	meanwhile()
	a := <-done
	return m.parse(a), log.text.String()
}

func TestTheLogIsSeenWhileTheJobIsAtWork(t *testing.T) {
	t.Parallel()
	m := boot(t)
	var early string
	waits := oneshot("", "while [ ! -e $ATTA_ROOT/go ]; do sleep 0.1; done")
	a, log := m.deployLive("0.0.1-dev", "waiting for atta.service, until ", func() {
		early = m.output("cat $ATTA_ROOT/var/log/atta-deploy.log")
		m.write("go", "", 0o600)
	}, waits)
	m.expect(a, "deployed", 0, "0.0.1-dev")
	if strings.Contains(early, "0.0.1-dev: health\n") {
		t.Errorf("the deploy did not wait for the job:\n%s", early)
	}
	if file := m.output("cat $ATTA_ROOT/var/log/atta-deploy.log"); strings.TrimSpace(log) != file {
		t.Errorf("the live log is\n%s\nthe file has\n%s", log, file)
	}
	if strings.Count(a.stdout, "\n") != 1 {
		t.Errorf("standard output has more than the result:\n%s", a.stdout)
	}
}

// The live log is that of the deploy alone, and the end of the log is printed only once in it.
func TestTheLiveLogOfAFailedReleaseIsItsOwn(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", oneshot("", "echo words of the first"))
	a, log := m.deployLive("0.0.2-dev", "0.0.2-dev: rollback", func() {}, oneshot("", "echo words of the second; exit 3"))
	m.expect(a, "rolled-back", 40, "")
	if n := strings.Count(log, "words of the second"); n != 1 || strings.Contains(log, "words of the first") || strings.Count(log, "deployment to-0-0-2-dev") != 1 {
		t.Errorf("the live log is\n%s", log)
	}
	if deploy.LogEnd(a.stdout) == "" || !strings.Contains(strings.TrimSpace(log), strings.TrimSpace(deploy.LogEnd(a.stdout))) {
		t.Errorf("the end of the log is\n%s\nof\n%s", deploy.LogEnd(a.stdout), log)
	}
}

func TestAStatusAboutAFailedDeploymentHasItsLog(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	m.expect(m.deploy("0.0.2-dev", oneshot("", "echo words of the second; exit 3"), parameter("deployment", "second")), "rolled-back", 40, "")
	if log := deploy.LogEnd(m.ask("--about=second").stdout); !strings.Contains(log, "words of the second") {
		t.Errorf("the log is %q", log)
	}
	for _, about := range []string{"--about=never", "--version=0.0.1-dev"} {
		if log := deploy.LogEnd(m.ask(about).stdout); log != "" {
			t.Errorf("%s: the log is %q", about, log)
		}
	}
}

func TestADeployThatWaitsForAnotherSaysUntilWhen(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	m.write("run/atta-deploy/atta.lock", "the-other\n", 0o600)
	lock, err := os.Open(m.Path("run/atta-deploy/atta.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	a, log := m.deployLive("0.0.2-dev", "waiting for another deploy of atta, the-other, until 20", func() { _ = lock.Close() })
	m.expect(a, "deployed", 0, "0.0.2-dev")
	if !strings.Contains(log, "Z\n") {
		t.Errorf("no time in UTC:\n%s", log)
	}
}
