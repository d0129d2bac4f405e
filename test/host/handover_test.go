//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// theirs is a repository's own script in the place of ec2_deploy.sh.
func theirs(lines ...string) change {
	return own("ec2_deploy.sh", "#!/bin/bash\n"+strings.Join(lines, "\n")+"\n")
}

const theirLine = `printf 'ATTA_RESULT {"v":1,"outcome":"deployed","code":%d,"phase":"verify","message":"%s"}\n' "$code" "$*"`

func TestTheResultIsReadFromAMegabyteOfOutput(t *testing.T) {
	t.Parallel()
	m := boot(t)
	for version, noise := range map[string]string{
		"0.0.1-dev": "yes 'all work and no play' | head -c 1000000; echo",
		"0.0.2-dev": "head -c 1000000 /dev/zero; echo",
	} {
		a := m.readResult(m.attempt(version, theirs("code=0", noise, theirLine, noise)))
		m.expect(a, "deployed", 0, version+" "+version)
		if strings.Count(a.stdout, "\n") != 1 {
			t.Errorf("%d bytes of output were passed on", len(a.stdout))
		}
	}
}

func TestAScriptThatEndsWithoutAResultLeavesItUnknown(t *testing.T) {
	t.Parallel()
	m := boot(t)
	for version, script := range map[string]string{
		"0.0.1-dev": "echo tired >&2; exit 0",
		"0.0.2-dev": "echo ' ATTA_RESULT {}'; echo tired >&2; exit 194",
		"0.0.3-dev": "echo tired >&2; kill -KILL $$",
	} {
		m.expect(m.deploy(version, theirs(script)), "unknown", 30, "and no result line")
	}
}

func TestAScriptsOwnExitCodeIsPassedOnOnlyWhenItMeansNothingToTheAgent(t *testing.T) {
	t.Parallel()
	m := boot(t)
	for version, codes := range sampleOf(map[string][2]string{
		"0.0.1-dev": {"40", "40"}, "0.0.2-dev": {"194", "30"}, "0.0.3-dev": {"168", "30"}, "0.0.4-dev": {"169", "30"},
		"0.0.5-dev": {"137", "30"}, "0.0.6-dev": {"1", "30"},
	}) {
		a := m.readResult(m.attempt(version, theirs("code="+codes[1], theirLine, "exit "+codes[0])))
		m.expect(a, "deployed", a.Code, version)
	}
}

func TestAskingWhatRunsStartsNoScriptOfARelease(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	m.write("opt/atta/current/deploy/ec2_deploy.sh", "#!/bin/bash\ntouch $ATTA_ROOT/ran\nexit 194\n", 0o755)
	m.expect(m.status(), "status", 0, "atta is installed")
	if m.exists("ran") {
		t.Error("the release's script was started")
	}
}
