package deploy_test

import (
	"strings"
	"testing"
)

func TestStatusOfAHostThatHasNothing(t *testing.T) {
	t.Parallel()
	m := boot(t)
	before := m.tree("")
	m.expect(m.status(), "absent", 0, "no release of atta is installed")
	m.same(before, m.tree(""))
}

func TestStatusSaysWhatRuns(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	deployed := m.deployed("0.0.2-dev")
	m.untouched(func() {
		a := m.status()
		m.expect(a, "status", 0, "atta is installed")
		if a.Deployment != "ask" || a.Version != "0.0.2-dev" || a.Digest != deployed.Digest || !a.Verified || a.Unit != "inactive" {
			t.Errorf("%+v", a.Report)
		}
		people := m.sh("$ATTA_ROOT/opt/atta/current/deploy/ec2_deploy.sh status").stdout
		for _, line := range []string{
			"service        atta\n", "version        0.0.2-dev\n", "seen healthy   20", "@" + deployed.Digest + "\n",
			"unit           inactive (dead), last run: result success, exit status 0\n", "go back to     0.0.1-dev\n",
			"deploy 0.0.1-dev -> 0.0.2-dev: deployed (0) in close: 0.0.2-dev runs\n",
		} {
			if !strings.Contains(people, line) {
				t.Errorf("no %q in\n%s", line, people)
			}
		}
	})
}

func TestTheScriptExplainsItself(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	script := "$ATTA_ROOT/opt/atta/current/deploy/ec2_deploy.sh "
	for _, help := range []string{"", "--help", "-h"} {
		a := m.sh(script + help)
		if a.exit != 0 || !strings.HasPrefix(a.stdout, "ec2_deploy.sh: makes") || !strings.Contains(a.stdout, "  51  a job,") || strings.Contains(a.stdout, "set -e") {
			t.Errorf("%s: %d\n%s", help, a.exit, a.stdout)
		}
	}
	for _, arguments := range []string{"0.0.2-dev 0.0.2-dev", "0.0.1-dev", "0.0.1-dev latest", "0.0.1-dev 0.0.1-dev more"} {
		m.untouched(func() { m.expect(m.read(script+arguments), "refused", 10, "usage: ec2_deploy.sh 0.0.1-dev 0.0.1-dev") })
	}
}
