//go:build !e2e

package host_test

import (
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// bootEngine starts an instance with another engine: containerd or podman.
func bootEngine(t *testing.T, kind string) standin {
	t.Helper()
	m := boot(t)
	m.write("var/lib/docker/kind", kind, 0o644)
	m.deployed("0.1.0-dev")
	return m
}

func TestCaseImagesHaveADiskOfTheirOwn(t *testing.T) {
	t.Parallel()
	for kind, store := range map[string]string{"containerd": "var/lib/containerd", "podman": "var/lib/containers/storage"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m := bootEngine(t, kind)
			m.sh("mkdir -p $ATTA_ROOT/" + store)
			m.wrap("df", `case "$*" in */`+store+`) printf 'Avail\n20480\n'; exit ;; esac`)
			m.untouched(func() {
				m.expect(m.deploy("0.1.1-dev", parameter("image-bytes", "300000000")), "refused", 10, store+" has 20 MB free, 1208 MB are needed")
			})
		})
	}
}

// Podman names the end of a container otherwise than Docker, and in other fields.
func TestCaseAJobWhoseContainerIsGoneIsSeenInTheEventsOfEachEngine(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"containerd", "podman"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m := bootEngine(t, kind)
			unit := own("systemd/atta.service", "[Service]\nType=oneshot\nEnvironmentFile=/opt/%N/current/release.env\nExecStart=/usr/bin/docker run --pull=never --rm --name=%N ${IMAGE}\n[Install]\nWantedBy=multi-user.target\n")
			if a := m.deployed("0.1.1-dev", unit); a.Evidence != deploy.EvidenceSucceeded || !a.Verified {
				t.Errorf("%+v", a.Report)
			}
		})
	}
}

func TestCaseAByteOrderMarkIsNotAPartOfANameForPodman(t *testing.T) {
	t.Parallel()
	m := bootEngine(t, "podman")
	m.write("opt/atta/.env", "\xef\xbb\xbfGREETING=good day\n", 0o600)
	m.untouched(func() {
		m.expect(m.deploy("0.1.1-dev"), "refused", deploy.ExitPreflight, "/opt/atta/.env, line 1: docker takes KEY=value only")
	})
	m.write("opt/atta/.env", "GREETING=good day\n", 0o600)
	m.deployed("0.1.1-dev")
	m.wantOutput("good day from 0.1.1-dev\n")
}

func TestOldReleasesLeaveNoImageOnAnyEngine(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"containerd", "podman"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m := bootEngine(t, kind)
			for _, version := range []string{"0.1.1-dev", "0.1.2-dev", "0.1.3-dev"} {
				m.deployed(version, parameter("keep-releases", "1"))
			}
			m.wantKept("0.1.1-dev", "0.1.2-dev", "0.1.3-dev")
			m.want("docker images --quiet --no-trunc | sort -u | wc -l", "3")
		})
	}
}

// Podman can begin each answer with warnings, which have the time: https://github.com/containers/podman/issues/12983
func TestWarningsOfPodmanAreNoFaultOfTheSettings(t *testing.T) {
	t.Parallel()
	m := bootEngine(t, "podman")
	m.write("opt/atta/.env", "GREETING=good day\n", 0o600)
	m.replace("docker", `echo "time=\"$(date +%FT%T.%N)\" level=warning msg=\"a cgroup is not delegated\"" >&2; `+m.passOn("docker"))
	m.deployed("0.1.1-dev")
	m.wantOutput("good day from 0.1.1-dev\n")
}
