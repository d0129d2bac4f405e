//go:build long || e2e

package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/test/tier"
)

// The SSM agent gives 168, 169 and 194 a meaning of their own, and takes 137 for a timeout.
func TestOnEachMachineAFailedJobIsRolledBackWhole(t *testing.T) {
	onEachMachine(t, func(t *testing.T, m machine) {
		m.deployed("0.0.1-dev")
		m.deployed("0.0.2-dev")
		m.want("cat $ATTA_ROOT/opt/$s/output/greeting.txt", "hello from 0.0.2-dev")
		run := m.invocation()
		m.expect(m.deploy("0.0.2-dev"), "unchanged", 0, "runs already")
		m.want("systemctl show --property=InvocationID $s", run)

		before := m.snapshot()
		boot := m.output("cat /proc/1/stat")
		codes := []int{194}
		if tier.Long {
			codes = []int{1, 137, 168, 169, 194}
		}
		for _, code := range codes {
			version := fmt.Sprintf("0.1.%d-dev", code)
			a := m.deploy(version, image(sample.WithExitCode(code)), own("extra.txt", version))
			m.expect(a, "rolled-back", 40, fmt.Sprintf("result exit-code, exit status %d; 0.0.2-dev is back", code))
			if !strings.Contains(a.stdout, fmt.Sprintf("done, exit %d", code)) {
				t.Errorf("the job's own words are missing:\n%s", a.stdout)
			}
			m.same(before, m.snapshot())
			m.settled()
			m.concluded("rolled-back", 40, version)
		}
		if pid1 := m.output("cat /proc/1/stat"); strings.Fields(pid1)[21] != strings.Fields(boot)[21] {
			t.Error("the instance was rebooted")
		}
		m.expect(m.deploy("0.1.194-dev", image(sample.WithExitCode(194)), own("extra.txt", "0.1.194-dev")), "refused", 10, "quarantined")
		m.same(before, m.snapshot())
		m.output("systemctl start $s")
		m.want("cat $ATTA_ROOT/opt/$s/output/greeting.txt", "hello from 0.0.2-dev")
		m.want("docker ps --quiet", "")
	})
}
