//go:build !e2e

package host_test

import (
	"os"
	"testing"
)

func TestTheFirstDeployMakesTheSettingsAndAsksForWhatTheyLack(t *testing.T) {
	t.Parallel()
	m := boot(t)
	example := own(".env.example", "# what it needs\nGREETING=good day\nTOKEN=\nother=\n#UNUSED=\n")
	m.expect(m.deploy("0.0.1-dev", example), "refused", 10, "/opt/atta/.env lacks TOKEN other, which 0.0.1-dev needs: add them on the host and deploy again")
	if m.exists("opt/atta/current") || m.exists("etc/systemd/system/atta.service") || m.sh("docker images --quiet").stdout != "" {
		t.Error("something was installed")
	}
	info, err := os.Stat(m.Path("opt/atta/.env"))
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf(".env: %v %v", info, err)
	}
	m.sh("sed -i 's/^TOKEN=/TOKEN=t/; s/^other=/other=o/' $ATTA_ROOT/opt/atta/.env")
	m.deployed("0.0.1-dev", example)
	m.wantOutput("good day from 0.0.1-dev\n")
}

func TestSettingsThatTheNextReleaseNeedsAreAllNamedBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("opt/atta/.env", "EMPTY=\nGIVEN=x\n#COMMENTED=x\nNOT_DEFAULT=\nLONGER=x\n", 0o600)
	m.deployed("0.0.1-dev")
	example := own(".env.example", "EMPTY=\nGIVEN=\nCOMMENTED=\nMISSING=with a default\nNOT_DEFAULT=default\nLONG=\n")
	m.untouched(func() {
		m.expect(m.deploy("0.0.2-dev", example), "refused", 10, ".env lacks EMPTY COMMENTED MISSING LONG, which 0.0.2-dev needs")
	})
	m.write("opt/atta/.env", "EMPTY=1\nGIVEN=x\nCOMMENTED=2\nNOT_DEFAULT=\nMISSING=\nLONG=3", 0o600)
	m.deployed("0.0.2-dev", example)
	// Going back by hand asks for what that release needs.
	m.deployed("0.0.3-dev", own(".env.example", ""))
	m.write("opt/atta/.env", "", 0o600)
	m.untouched(func() {
		m.expect(m.rollback(""), "refused", 10, ".env lacks EMPTY GIVEN COMMENTED MISSING NOT_DEFAULT LONG")
	})
}
