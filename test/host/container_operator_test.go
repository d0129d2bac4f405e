//go:build e2e && long

package host_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestE2EOperatorRollsBackTwiceWithoutANetwork(t *testing.T) {
	onEach(t, func(t *testing.T, m guest) {
		for _, version := range []string{"0.0.1-dev", "0.0.2-dev", "0.0.3-dev"} {
			m.deployed(version, serving("8081"))
		}
		m.expect(m.deploy("0.0.4-dev", image(sample.WithExitCode(9))), "rolled-back", 40, "0.0.3-dev is back")
		if err := m.Unplug(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, version := range []string{"0.0.2-dev", "0.0.1-dev"} {
			m.expect(m.parse(m.byHand("rollback")), "deployed", 0, version+" runs")
			m.isServing(version)
		}
		m.expect(m.parse(m.byHand("rollback")), "refused", 10, "there is no verified release before 0.0.1-dev")
		m.expect(m.parse(m.byHand("rollback 0.0.4-dev")), "refused", 10, "was never seen healthy")
		m.expect(m.parse(m.byHand("rollback 0.0.3-dev")), "deployed", 0, "0.0.3-dev runs")
		m.isServing("0.0.3-dev")
		m.settled()

		for command, parts := range map[string][]string{
			"status":    {"version        0.0.3-dev", "roll back to   0.0.2-dev", "unit           active (running)", "0.0.4-dev was found unhealthy"},
			"history":   {"deploy 0.0.3-dev -> 0.0.4-dev: rolled-back (40)", "rollback 0.0.3-dev -> 0.0.2-dev: deployed (0)", "refused (10) in preflight"},
			"history 1": {"rollback 0.0.1-dev -> 0.0.3-dev: deployed (0)"},
			"logs":      {"== /var/log/atta-deploy.log", "rollback", "== journal of atta.service", "serving on 127.0.0.1:8081"},
			"--help":    {"ec2_deploy.sh rollback [VERSION]", "Exit codes"},
		} {
			text := m.output("/opt/$s/current/deploy/ec2_deploy.sh " + command)
			for _, part := range parts {
				if !strings.Contains(text, part) {
					t.Errorf("%s does not say %q:\n%s", command, part, text)
				}
			}
		}
		var status deploy.Report
		text := m.output("/opt/$s/current/deploy/ec2_deploy.sh status --json")
		if err := json.Unmarshal([]byte(text), &status); err != nil || status.Version != "0.0.3-dev" || !status.Verified || status.Unit != "active" || !strings.HasPrefix(status.Digest, "sha256:") {
			t.Errorf("%v, %s", err, text)
		}
		var history struct{ Outcome string }
		if err := json.Unmarshal([]byte(m.output("tail -n 1 /opt/$s/history | cut -d ' ' -f 3-")), &history); err != nil || history.Outcome != "deployed" {
			t.Errorf("%v, %+v", err, history)
		}
		if err := m.Plug(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.deployed("0.0.5-dev", serving("8081"))
	})
}
