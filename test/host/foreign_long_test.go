//go:build long

package host_test

import (
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

// A container or a unit of somebody else's that has the name is not touched.
func TestOnEachMachineAForeignContainerIsNotRemoved(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		other := m.push(sample.WithVersion("theirs"), sample.WithCmd("-sleep", "600s"))
		m.output("aws ecr get-login-password --region us-east-1 | docker login --username AWS --password-stdin " + cloud.RegistryHost() +
			"; docker pull --quiet " + other + "; docker run --detach --name=$s " + other)
		id := m.output("docker container inspect --format '{{.Id}}' $s")
		m.expect(m.deploy("0.0.1-dev"), "refused", 10, "a container named atta is here that no release of atta has made")
		m.want("docker container inspect --format '{{.Id}} {{.State.Running}}' $s", id+" true")
		m.output("docker rm --force $s; docker run --detach --name=$s-0.0.1-dev " + other)
		m.expect(m.deploy("0.0.1-dev"), "refused", 10, "a container named atta-0.0.1-dev is here that no deploy of this release has made")
		m.output("docker rm --force $s-0.0.1-dev")
		m.deployed("0.0.1-dev")
	})
}
