//go:build e2e

package host_test

import (
	"fmt"
	"testing"

	"github.com/org/atta-deploy-action/localaws/container"
)

// stores are where an engine keeps images, and where it puts what it is pulling.
var stores = map[string]struct{ images, pulling string }{
	container.Bookworm.Name: {"/var/lib/docker", "/var/lib/docker/tmp"},
	container.Bullseye.Name: {"/var/lib/docker", "/var/lib/docker/tmp"},
	container.Docker29.Name: {"/var/lib/containerd", "/var/lib/containerd/io.containerd.content.v1.content"},
	container.Podman.Name:   {"/var/lib/containers/storage", "/var/tmp"},
}

// fillStore is a script that leaves an engine no space for what it pulls. Containerd moves that from one
// folder to the other.
func fillStore(folder string) string {
	return "mount -t tmpfs -o size=1m tmpfs " + folder + " && mkdir -p " + folder + "/ingest " + folder + "/blobs/sha256"
}

func TestE2EOldReleasesLeaveNoImage(t *testing.T) {
	t.Parallel()
	m := boot(t)
	images := "docker images --quiet --no-trunc | sort -u | wc -l"
	for i := range 5 {
		m.deployed(fmt.Sprintf("0.0.%d-dev", i+1), parameter("keep-releases", "1"))
		if i == 2 {
			m.output("docker image prune --all --force")
			m.want(images, "3")
		}
	}
	m.want(images, "3")
	m.want("docker ps --all --format '{{.Names}}' | sort | xargs", "atta atta-0.0.3-dev atta-0.0.4-dev atta-0.0.5-dev")
	m.expect(m.parse(m.byHand("rollback")), "deployed", 0, "0.0.4-dev is installed")
	m.output("systemctl start $s")
	m.want("cat /opt/$s/output/greeting.txt", "hello from 0.0.4-dev")
}
