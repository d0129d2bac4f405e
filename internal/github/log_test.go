package github_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAGroupIsClosedWhenItsFunctionFails(t *testing.T) {
	var log strings.Builder
	a := newAction(&log, nil)
	broken := errors.New("broken")
	err := a.Group("push\n::error::image", func() error {
		a.Info("uploading")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	want := "::group::push%0A::error::image\nuploading\n::endgroup::\n"
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Error(diff)
	}
}

func TestAGroupIsClosedWhenItsFunctionPanics(t *testing.T) {
	var log strings.Builder
	func() {
		defer func() { _ = recover() }()
		_ = newAction(&log, nil).Group("push", func() error { panic("broken") })
	}()
	if !strings.HasSuffix(log.String(), "::endgroup::\n") {
		t.Errorf("the group is open: %q", log.String())
	}
}

func TestInfoNeverIssuesACommand(t *testing.T) {
	for _, text := range hostile {
		var log strings.Builder
		newAction(&log, nil).Info("%s", text)
		if taken := commands(log.String()); taken != nil {
			t.Errorf("Info(%q) issued %q", text, taken)
		}
	}
}

func TestInfoPrintsOrdinaryTextUnchanged(t *testing.T) {
	const text = "pushed a::b at 10 % of #3 [ok]\n  std::string: x\n"
	var log strings.Builder
	newAction(&log, nil).Info("%s", text)
	if diff := cmp.Diff(text+"\n", log.String()); diff != "" {
		t.Error(diff)
	}
}

func TestUntrustedTextIsPrintedUnchangedAndIssuesNoCommands(t *testing.T) {
	for _, text := range hostile {
		var log strings.Builder
		a := newAction(&log, nil)
		a.Untrusted(text)
		a.Warning("afterwards", "commands work again")
		if diff := cmp.Diff([]string{"warning=commands work again"}, commands(log.String())); diff != "" {
			t.Errorf("Untrusted(%q): %s", text, diff)
		}
		if !strings.Contains(log.String(), "\n"+strings.TrimSuffix(text, "\n")+"\n") {
			t.Errorf("Untrusted(%q) printed %q", text, log.String())
		}
	}
}

func TestUntrustedTextCannotPredictItsDelimiter(t *testing.T) {
	var log strings.Builder
	a := newAction(&log, nil)
	a.Untrusted("x")
	used, _, _ := strings.Cut(strings.TrimPrefix(log.String(), "::stop-commands::"), "\n")
	log.Reset()
	a.Untrusted("::" + used + "::\n::error::x")
	if taken := commands(log.String()); taken != nil {
		t.Errorf("a delimiter seen before resumed commands: %q", taken)
	}
}

func TestConcurrentUntrustedTextIsNotInterleaved(t *testing.T) {
	var log strings.Builder
	a := newAction(&log, nil)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			a.Untrusted("::error::x\n::error::y")
			a.Info("own text")
		})
	}
	all.Wait()
	if taken := commands(log.String()); taken != nil {
		t.Errorf("issued %q", taken)
	}
}

func FuzzNoTextIssuesACommand(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var log strings.Builder
		a := newAction(&log, nil)
		a.Info("%s", text)
		a.Untrusted(text)
		if taken := commands(log.String()); taken != nil {
			t.Errorf("%q issued %q", text, taken)
		}
	})
}

func TestOutsideGitHubTheLogIsPlainText(t *testing.T) {
	var log strings.Builder
	a := newAction(&log, map[string]string{"GITHUB_ACTIONS": ""})
	err := a.Group("Push image", func() error {
		a.Untrusted("::error::from a host")
		a.Mask("secret")
		a.Fail("atta 0.1.0-dev: failed", "first line\nsecond line, 100%%")
		return nil
	})
	if want := "Push image\n::error::from a host\nerror: atta 0.1.0-dev: failed\nfirst line\nsecond line, 100%\n"; err != nil || log.String() != want {
		t.Errorf("%v, got %q, want %q", err, log.String(), want)
	}
}
