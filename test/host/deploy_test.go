//go:build !e2e

package host_test

import (
	"os"
	"strings"
	"testing"
)

func TestAReleaseReplacesThePreviousOne(t *testing.T) {
	t.Parallel()
	m := boot(t)
	first := m.deployed("0.1.9-dev")
	if first.Before != "" || first.Version != "0.1.9-dev" || !first.Verified || first.Service != "atta" || !strings.HasPrefix(first.Deployment, "to-0-1-9-dev-") {
		t.Errorf("first: %+v", first.Report)
	}
	m.wantOutput("hello from 0.1.9-dev\n")
	if info, err := os.Stat(m.Path("opt/atta/.env")); err != nil || info.Mode() != 0o600 {
		t.Errorf(".env: %v %v", info.Mode(), err)
	}

	m.write("opt/atta/.env", "GREETING=good day\n", 0o600)
	second := m.deployed("0.1.10-dev")
	if second.Before != "0.1.9-dev" || second.Version != "0.1.10-dev" || !second.Verified || second.Unit != "inactive" || second.Result != "success" {
		t.Errorf("second: %+v", second.Report)
	}
	if second.Digest == first.Digest || !strings.HasPrefix(second.Digest, "sha256:") {
		t.Errorf("digests %s and %s", first.Digest, second.Digest)
	}
	for _, phase := range []string{"preflight", "room", "pull", "open", "drain", "stop", "switch", "start", "health", "timers", "close"} {
		if _, ok := second.Millis[phase]; !ok {
			t.Errorf("no time for %s in %v", phase, second.Millis)
		}
	}
	m.wantOutput("good day from 0.1.10-dev\n")
	live := m.live()
	for path, want := range map[string]string{"/opt/atta/current": "releases/0.1.10-dev", "/opt/atta/previous": "releases/0.1.9-dev"} {
		if live[path] != want {
			t.Errorf("%s leads to %q", path, live[path])
		}
	}
	if installed, released := live["/etc/systemd/system/atta.service"], live["/opt/atta/releases/0.1.10-dev/deploy/systemd/atta.service"]; installed != released || installed == "" {
		t.Errorf("the unit is %s, that of the release %s", installed, released)
	}
	if m.exists("opt/atta/incoming") {
		t.Error("the download is still there")
	}
	if state := strings.TrimSpace(m.sh("systemctl is-enabled atta").stdout); state != "enabled" {
		t.Error("the unit is", state)
	}
}

func TestTheSameReleaseAgainRestartsNothing(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.1.9-dev")
	m.untouched(func() {
		again := m.deploy("0.1.9-dev", parameter("deployment", "second-time"))
		m.expect(again, "unchanged", 0, "runs already")
		if again.Deployment != "second-time" || again.Version != "0.1.9-dev" || !again.Verified || again.Before != "0.1.9-dev" {
			t.Errorf("%+v", again.Report)
		}
	})
}

func TestAVersionIsNeverReused(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.1.9-dev")
	m.untouched(func() {
		m.expect(m.deploy("0.1.9-dev", own("more.txt", "more")), "refused", 20, "never reused")
	})
}

func TestAnOlderReleaseIsRefusedUnlessItIsAllowed(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.10-dev")
	m.untouched(func() {
		m.expect(m.deploy("0.1.9-dev"), "refused", 10, "0.1.9-dev is older than 0.1.10-dev")
	})
	a := m.deployed("0.1.9-dev", parameter("allow-downgrade", "true"))
	if a.Before != "0.1.10-dev" || a.Version != "0.1.9-dev" {
		t.Errorf("%+v", a.Report)
	}
}

func (m standin) wantOutput(want string) {
	m.t.Helper()
	got, err := os.ReadFile(m.Path("opt/atta/output/greeting.txt"))
	if err != nil || string(got) != want {
		m.t.Errorf("the job wrote %q, want %q (%v)", got, want, err)
	}
}
