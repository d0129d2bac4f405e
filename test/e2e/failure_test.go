package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestFailedDeployIsRolledBack(t *testing.T) {
	s := playWithScripts(t)
	first := s.deployed("0.1.0-dev").outputs["image-digest"]
	out := s.deploy("0.1.1-dev", sample.WithExitCode(3))
	out.wants("rolled-back")
	out.says("instance "+instanceID, "exit status 3", "0.1.0-dev is back")
	if s.runs() != "0.1.0-dev" || s.tag("latest-dev") != first {
		t.Errorf("the instance runs %s, latest-dev is %s", s.runs(), s.tag("latest-dev"))
	}
	if out.outputs["failed-instances"] != instanceID || out.outputs["previous-version"] != "0.1.0-dev" || !strings.Contains(out.outputs["results"], `"rolled-back"`) {
		t.Errorf("outputs are %q", out.outputs)
	}
	for _, text := range []string{
		"## ❌ atta 0.1.1-dev was rolled back in dev: the program exited with status 3 on " + instanceID + "\n", "**What runs now:** `0.1.0-dev` on `" + instanceID + "`\n", "0.1.0-dev is back",
		"<samp>", "<br>done, exit 3<br>", "    Roll out (", "    rollback (",
	} {
		if !strings.Contains(out.summary, text) {
			t.Errorf("the summary does not say %q:\n%s", text, out.summary)
		}
	}
	if s.deployed("0.1.2-dev"); s.runs() != "0.1.2-dev" {
		t.Errorf("after the repair the instance runs %s", s.runs())
	}
}

func TestFailedFirstDeployLeavesNothingInstalled(t *testing.T) {
	s := playWithScripts(t)
	out := s.deploy("0.1.0-dev", sample.WithExitCode(3))
	out.wants("rolled-back")
	out.says("exit status 3")
	if _, err := os.Stat(s.host.Path("etc/systemd/system/atta.service")); s.runs() != "" || err == nil {
		t.Errorf("the instance runs %q, the unit is there: %v", s.runs(), err)
	}
	if s.tag("latest-dev") != "" || out.outputs["previous-version"] != "" {
		t.Errorf("latest-dev is %s, previous-version is %q", s.tag("latest-dev"), out.outputs["previous-version"])
	}
}
