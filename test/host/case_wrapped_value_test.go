//go:build !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// A value of several lines in .env: docker takes the first, and each other line for a variable of its own, most of which
// nobody has set. So are the lines of base64, which GNU wraps at 76 columns: https://github.com/moby/moby/issues/12997
func TestCaseAValueOfSeveralLinesInTheFileIsNotCutSilently(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	wrapped := strings.TrimSpace(m.output("head -c 200 /dev/zero | base64")) // the documented remedy for a key in PEM, as GNU prints it
	for version, text := range map[string]string{
		"0.1.1-dev": "TLS_KEY=" + wrapped + "\n",
		"0.1.2-dev": "TLS_KEY=\"" + wrapped + "\"\n",
		"0.1.3-dev": "TOKEN=abcdefgh\nijklmnop\n",
	} {
		m.write("opt/atta/.env", text, 0o600)
		a := m.deploy(version, parameter("allow-downgrade", "true"))
		if a.exit != int(deploy.ExitPreflight) || a.Reason != deploy.ReasonSettingsInvalid {
			t.Errorf("%s: %s, %q", strings.ReplaceAll(text, "\n", "|"), a.Outcome, a.Message)
		}
	}
	m.write("opt/atta/.env", "GREETING=hi\n# KEY\n\nEMPTY=\n", 0o600)
	m.deployed("0.1.4-dev")
}
