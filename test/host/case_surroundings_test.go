//go:build !e2e

package host_test

import (
	"archive/tar"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// Amazon Linux 2023's minimal images have no find, Photon and Flatcar had releases without cmp:
// https://github.com/amazonlinux/amazon-linux-2023/issues/355, https://github.com/vmware/photon/issues/1012
func TestCaseAHostWithoutFindOrCmpIsRefused(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.untouched(func() {
		a := m.deploy("0.1.1-dev", m.without("gzip", "find", "xargs", "cmp", "diff"))
		if m.expect(a, "refused", deploy.ExitPreflight, "not installed on this host: gzip find xargs cmp diff"); a.Reason != deploy.ReasonToolMissing {
			t.Errorf("reason %s", a.Reason)
		}
	})
}

// Before 5.1, bash writes every here-document to a file in TMPDIR or /tmp:
// https://github.com/SUSE/SAPHanaSR-ScaleOut/pull/96
func TestCaseADeployNeedsNoTemporaryFolder(t *testing.T) {
	t.Parallel()
	full := []string{"TMPDIR=/proc", "BASH_COMPAT=5.0"}
	probe := exec.Command("bash", "-c", "cat <<<text")
	probe.Env = append(os.Environ(), full...)
	if probe.Run() == nil {
		t.Skip("only root is told that /proc is writable, and then cannot write there")
	}
	m := bootDeployed(t, "0.1.0-dev")
	m.deployed("0.1.2-dev", environment(full))
	m.deployed("0.1.3-dev", environment(full), daemon(), parameter("health-command", "true"))
	m.untouched(func() {
		m.expect(m.deploy("0.1.1-dev", environment(full)), "refused", deploy.ExitPreflight, "0.1.1-dev is older than 0.1.3-dev")
		a := m.deploy("0.1.4-dev", environment(full), holding(t, tar.Header{Name: "deploy/link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd", Mode: 0o777}))
		m.expect(a, "refused", deploy.ExitIntegrity, "holds more than plain files")
	})
}

// What hides systemd's messages about a unit hides that its run has finished:
// https://github.com/systemd/systemd/issues/9328, https://github.com/systemd/systemd/issues/1291
func TestCaseAJournalWithoutSystemdsMessagesDoesNotSpeakAgainstARun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ setting, hide string }{
		"LogLevelMax=":                  {"LogLevelMax=notice", "true"},
		"the journal is not kept":       {"Nice=1", "rm $ATTA_ROOT/var/log/journal/journal.json"},
		"messages of other units alone": {"Nice=1", `sed -i '/"Unit":"atta.service"/d' $ATTA_ROOT/var/log/journal/journal.json`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.1.0-dev", own("systemd/atta.service", unitWith(t, c.setting)), parameter("run-on-deploy", "false"))
			m.output("systemctl start $s; " + c.hide)
			if a := m.status(); a.Evidence != deploy.EvidenceSucceeded || !a.Verified {
				t.Errorf("%s, verified %t: %s", a.Evidence, a.Verified, a.Message)
			}
			m.deployed("0.1.1-dev", parameter("run-on-deploy", "false"))
			m.expect(m.send([]string{"rollback", "--service=atta", "--deployment=back", "--not-after=99999999999"}), "deployed", deploy.ExitOK, "0.1.0-dev")
		})
	}
}

// unitWith returns the built-in unit of a job with one more setting.
func unitWith(t *testing.T, setting string) string {
	t.Helper()
	unit, err := deploy.Files.ReadFile("systemd/atta.service")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(unit), "[Service]\n", "[Service]\n"+setting+"\n", 1)
}
