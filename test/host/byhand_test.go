//go:build !e2e

package host_test

import (
	"os"
	"strings"
	"testing"
	"time"
)

func (m standin) rollback(version string, env ...string) answer {
	m.t.Helper()
	return m.parse(m.byHand("rollback "+version, env...))
}

// offline cuts the instance off from AWS and from the registry.
func (m standin) offline() {
	m.t.Helper()
	m.replace("aws", "echo 'Could not connect to the endpoint URL' >&2; exit 255")
	m.replace("docker", "case $1 in pull | login) echo 'connection refused' >&2; exit 1 ;; esac\n"+m.passOn("docker"))
}

// appears returns when something is there under that path.
func (m standin) appears(path string) {
	m.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !m.exists(path); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("there is still no %s", path)
		}
	}
}

// text is what a file of the instance holds, or nothing.
func (m standin) text(path string) string {
	m.t.Helper()
	content, err := os.ReadFile(m.Path(path))
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	return string(content)
}

// settings adds lines to the [Service] section of the release's unit.
func settings(lines string) change {
	return func(a *attempt) {
		a.own["systemd/atta.service"] = strings.Replace(a.own["systemd/atta.service"], "[Service]\n", "[Service]\n"+lines+"\n", 1)
	}
}

func (m standin) wantInstalled(current, previous string) {
	m.t.Helper()
	for link, want := range map[string]string{"current": current, "previous": previous} {
		if got, _ := os.Readlink(m.Path("opt/atta", link)); strings.TrimPrefix(got, "releases/") != want {
			m.t.Errorf("%s leads to %q, want %q", link, got, want)
		}
	}
}

func TestARollbackByHandGoesFurtherBackEachTimeAndNeedsNoNetwork(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev", "0.0.2-dev")
	m.deployed("0.0.3-dev", own("more.txt", "more"))
	m.offline()
	a := m.rollback("")
	m.expect(a, "deployed", 0, "0.0.2-dev is installed; run by its timer or systemctl start atta")
	if a.Version != "0.0.2-dev" || a.Before != "0.0.3-dev" || !a.Verified || !strings.HasPrefix(a.Deployment, "by-hand-") {
		t.Errorf("%+v", a.Report)
	}
	m.wantInstalled("0.0.2-dev", "0.0.1-dev")
	m.expect(m.rollback(""), "deployed", 0, "0.0.1-dev is installed")
	m.wantInstalled("0.0.1-dev", "")
	m.untouched(func() {
		m.expect(m.rollback(""), "refused", 10, "there is no verified release before 0.0.1-dev; seen healthy here: 0.0.3-dev 0.0.2-dev 0.0.1-dev")
	})
	m.expect(m.rollback("0.0.3-dev"), "deployed", 0, "0.0.3-dev is installed")
	m.wantInstalled("0.0.3-dev", "0.0.2-dev")
	if units := m.live(); units["/etc/systemd/system/atta.service"] != units["/opt/atta/releases/0.0.3-dev/deploy/systemd/atta.service"] {
		t.Error("the unit is not that of 0.0.3-dev")
	}
}

func TestARollbackToAnUnverifiedReleaseIsRefused(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev", "0.0.2-dev")
	m.deploy("0.0.3-dev", oneshot("", "exit 3"))
	for version, message := range map[string]string{
		"0.0.9-dev":             "0.0.9-dev was never seen healthy here; those that were: 0.0.2-dev 0.0.1-dev",
		"0.0.3-dev":             "0.0.3-dev was never seen healthy here",
		"../releases/0.0.1-dev": "../releases/0.0.1-dev is not a version",
		"/opt":                  "/opt is not a version",
		"..":                    ".. was never seen healthy here",
	} {
		m.untouched(func() { m.expect(m.rollback(version), "refused", 10, message) })
	}
	m.untouched(func() { m.expect(m.rollback("0.0.2-dev"), "unchanged", 0, "0.0.2-dev runs already") })
}
