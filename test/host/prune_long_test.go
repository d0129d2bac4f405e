//go:build long && !e2e

package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

// What runs and what was before it stay, however old they are.
func TestTheNewestReleasesAreNotTheOnlyOnesThatStay(t *testing.T) {
	t.Parallel()
	m := boot(t)
	for i := range 5 {
		m.deployed(fmt.Sprintf("0.0.%d-dev", i+1), parameter("keep-releases", "9"))
	}
	m.rollback("0.0.2-dev")
	m.wantInstalled("0.0.2-dev", "0.0.1-dev")
	m.expect(m.deploy("0.0.6-dev", parameter("keep-releases", "1"), oneshot("", "exit 3")), "rolled-back", 40, "")
	m.wantInstalled("0.0.2-dev", "0.0.1-dev")
	if got := m.kept()["releases"]; got != "0.0.1-dev\n0.0.2-dev\n0.0.5-dev\n0.0.6-dev\n" {
		t.Error(got)
	}
	m.wantStart("0.0.2-dev")
	m.rollback("")
	m.wantStart("0.0.1-dev")
}

func TestForeignImagesAndContainersAreNotPruned(t *testing.T) {
	t.Parallel()
	m := boot(t)
	theirs := m.push(sample.WithVersion("theirs"))
	first := m.push(sample.WithVersion("0.0.1-dev"))
	repository, _, _ := strings.Cut(first, "@")
	m.deployed("0.0.1-dev", parameter("image", first), parameter("keep-releases", "1"))
	login := "aws ecr get-login-password --region us-east-1 | docker login --username AWS --password-stdin " + cloud.RegistryHost() + "; "
	if a := m.sh("set -e; " + login + "docker pull -q " + theirs + "; docker tag " + theirs + " " + repository + ":theirs; docker create --name theirs " + theirs +
		"; docker tag " + first + " " + repository + ":also-theirs; docker create --name atta-of-theirs " + first); a.exit != 0 {
		t.Fatal(a.stderr)
	}
	ours := m.sh("docker images --format '{{.Tag}} {{.ID}}' | grep theirs; docker ps --all --format '{{.Names}} {{.ID}}' | grep theirs").stdout
	for i := range 3 {
		m.deployed(fmt.Sprintf("0.0.%d-dev", i+2), parameter("keep-releases", "1"))
	}
	if got := m.sh("docker images --format '{{.Tag}} {{.ID}}' | grep theirs; docker ps --all --format '{{.Names}} {{.ID}}' | grep theirs").stdout; got != ours || strings.Count(ours, "\n") != 4 {
		t.Errorf("before:\n%safter:\n%s", ours, got)
	}
	if m.exists("opt/atta/releases/0.0.1-dev") || strings.Contains(m.sh("docker images --format '{{.Tag}}'; docker ps -a --format '{{.Names}}'").stdout, "0.0.1-dev") {
		t.Error("0.0.1-dev is still there")
	}
}

func TestFailedReleasesDoNotPushOutTheGoodOne(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev", "0.0.2-dev")
	few := parameter("keep-releases", "1")
	for i := range 3 {
		m.expect(m.deploy(fmt.Sprintf("0.1.%d-dev", i), few, image(sample.WithExitCode(3))), "rolled-back", 40, "0.0.2-dev is back")
	}
	m.wantInstalled("0.0.2-dev", "0.0.1-dev")
	m.sh("docker image prune --force --all")
	m.offline()
	m.wantStart("0.0.2-dev")
	m.expect(m.rollback(""), "deployed", 0, "0.0.1-dev")
	m.wantStart("0.0.1-dev")
	if got := m.kept(); got["releases"] != "0.0.1-dev\n0.0.2-dev\n0.1.2-dev\n" || got["containers"] != "0.0.1-dev\n0.0.2-dev\n" {
		t.Errorf("%q", got)
	}
}

func TestAReleaseThatCannotBeRemovedDoesNotStopADeploy(t *testing.T) {
	t.Parallel()
	for name, block := range map[string]func(standin){
		"folder": func(m standin) {
			m.write("../bin/mv", "#!/bin/sh\ncase \"$*\" in *0.0.1-dev*.dropped) echo 'busy' >&2; exit 1 ;; esac\nexec /bin/mv \"$@\"\n", 0o755)
		},
		"files": func(m standin) {
			m.write("../bin/rm", "#!/bin/sh\ncase \"$*\" in *.dropped) exit 1 ;; esac\nexec /bin/rm \"$@\"\n", 0o755)
		},
		"image": func(m standin) { m.replace("docker", "case $1$2 in imagerm) exit 1 ;; esac\n"+m.passOn("docker")) },
		"container": func(m standin) {
			m.replace("docker", "case \"$*\" in rm*atta-0.0.1-dev) exit 1 ;; esac\n"+m.passOn("docker"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := bootDeployed(t, "0.0.1-dev", "0.0.2-dev")
			few := parameter("keep-releases", "1")
			block(m)
			m.deployed("0.0.3-dev", few)
			m.deployed("0.0.4-dev", few)
			m.wantInstalled("0.0.4-dev", "0.0.3-dev")
		})
	}
}

// Killed after it had renamed the folder, nothing else knew of the image.
func TestARemovalThatWasCutOffIsFinishedByTheNextDeploy(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev", "0.0.2-dev", "0.0.3-dev")
	m.sh("mv $ATTA_ROOT/opt/atta/releases/0.0.1-dev $ATTA_ROOT/opt/atta/.dropped")
	m.deployed("0.0.4-dev")
	m.settled()
	if got := m.kept(); strings.Contains(got["containers"], "0.0.1-dev") || m.sh("docker images | grep -c 0.0.1-dev").stdout != "0\n" {
		t.Errorf("%q, %s", got, m.sh("docker images").stdout)
	}
}

func TestAnImageThatWasRefusedAfterItsPullIsRemovedWithItsRelease(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	m.wrap("uname", "echo riscv64; exit")
	for i := range 3 {
		m.expect(m.deploy(fmt.Sprintf("0.1.%d-dev", i)), "refused", 10, "this host is riscv64")
	}
	m.wrap("uname", "")
	m.deployed("0.2.0-dev")
	m.deployed("0.3.0-dev")
	if got := m.sh("docker images --quiet | sort -u | wc -l").stdout; got != "3\n" {
		t.Errorf("images:\n%s", m.sh("docker images --digests").stdout)
	}
}
