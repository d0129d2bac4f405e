//go:build !e2e

package host_test

import (
	"os"
	"regexp"
	"testing"
)

func TestAnImageThatDoesNotFitIsRefusedBeforeItIsPulled(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	images := m.sh("docker images --digests --quiet").stdout
	m.replace("docker", "case $1 in pull) touch $ATTA_ROOT/pulled ;; esac\n"+m.passOn("docker"))
	m.untouched(func() {
		m.expect(m.check("0.0.2-dev", parameter("image-bytes", "999999999999")), "refused", 10, "not enough room for the image: ")
		a := m.deploy("0.0.2-dev", parameter("image-bytes", "999999999999"))
		m.expect(a, "refused", 10, "not enough room for the image: ")
		if !regexp.MustCompile(`var/lib/docker has [0-9]+ MB free, 3814761 MB are needed$`).MatchString(a.Message) || a.Phase != "room" {
			t.Errorf("in %s: %s", a.Phase, a.Message)
		}
	})
	if m.exists("pulled") || m.sh("docker images --digests --quiet").stdout != images {
		t.Error("something was pulled")
	}
	m.deployed("0.0.2-dev", parameter("image-bytes", "1000"))
}

func TestADiskThatIsFullWhileTheImageIsPulledLeavesWhatRuns(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev", "0.0.2-dev")
	m.write("var/lib/docker/full", "", 0o644)
	before := m.kept()
	m.untouched(func() {
		m.expect(m.deploy("0.0.3-dev"), "refused", 10, "no space left on device")
	})
	after := m.kept()
	if before["images"] != after["images"] || before["containers"] != after["containers"] {
		t.Errorf("before %q, after %q", before, after)
	}
	if err := os.Remove(m.Path("var/lib/docker/full")); err != nil {
		t.Fatal(err)
	}
	m.wantStart("0.0.2-dev")
	m.deployed("0.0.3-dev")
}

func TestAChangeThatCannotBeWrittenDownIsNotBegun(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.0.1-dev")
	m.sh("ln -s /dev/full $ATTA_ROOT/opt/atta/.state.new")
	m.untouched(func() {
		m.expect(m.deploy("0.0.2-dev", daemon()), "refused", 10, "nothing was changed")
	})
	if m.exists("opt/atta/recover") || m.exists("etc/systemd/system/atta-recover.service") {
		t.Error("the deploy is still under way")
	}
	m.deployed("0.0.2-dev", daemon())
}
