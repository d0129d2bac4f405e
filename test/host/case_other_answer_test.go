//go:build !e2e

package host_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Something else answers where the health check asks: https://github.com/arniesaha/agentweave/pull/252
func TestCaseAnAnswerOfSomethingElseIsNotTheReleases(t *testing.T) {
	t.Parallel()
	m := boot(t)
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer old.Close()
	// The program listens on another port, and publishes none.
	a := m.deploy("0.1.0-dev", daemon(), parameter("health-url", old.URL+"/health"))
	t.Logf("%s %d %q", a.Outcome, a.exit, a.Message)
	if a.exit == 0 && !strings.Contains(a.Message, "answer") {
		t.Errorf("a release that serves nothing at its health-url is %s without a word: %q", a.Outcome, a.Message)
	}
	// The program wants that port, and cannot have it.
	_, port, _ := strings.Cut(strings.TrimPrefix(old.URL, "http://"), ":")
	a = m.deploy("0.1.1-dev", serving(port))
	t.Logf("%s %d %q", a.Outcome, a.exit, a.Message)
}
