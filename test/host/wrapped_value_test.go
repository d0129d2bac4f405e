//go:build !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// base64 of 60 bytes, wrapped at 76 columns: the second line ends with =, so that it looks like a variable.
func TestAValueOfTwoLinesOfBase64IsNotCutSilently(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	text := "TLS_KEY=" + strings.TrimSpace(m.output("head -c 62 /dev/zero | base64")) + "\n"
	m.write("opt/atta/.env", text, 0o600)
	a := m.deploy("0.1.1-dev")
	if a.exit != int(deploy.ExitPreflight) || a.Reason != deploy.ReasonSettingsInvalid {
		t.Errorf("%q: %s, %q", text, a.Outcome, a.Message)
	}
}
