//go:build !e2e

package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// The clock of the instance is wrong, so that AWS refuses each of its requests: https://github.com/EngineerBetter/control-tower/issues/51
// S3 does not say why in its answer to a HEAD.
func TestCaseAClockThatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.replace("aws", `case "$*" in
*get-caller-identity*) echo "
An error occurred (SignatureDoesNotMatch) when calling the GetCallerIdentity operation: Signature expired: 20191029T154623Z is now earlier than 20191029T163344Z (20191029T164844Z - 15 min.)" >&2; exit 254 ;;
s3*|*" s3 "*) echo "fatal error: An error occurred (403) when calling the HeadObject operation: Forbidden" >&2; exit 1 ;;
esac
echo "
An error occurred (InvalidSignatureException) when calling the operation: Signature expired: 20191029T154623Z is now earlier than 20191029T163344Z (20191029T164844Z - 15 min.)" >&2; exit 254
`)
	a := m.send([]string{"doctor", "--service=atta", "--deployment=ask", "--region=us-east-1"})
	if a.Outcome == "ready" || !strings.Contains(a.Message, "clock") {
		t.Errorf("doctor: %s, %q", a.Outcome, a.Message)
	}
	m.untouched(func() {
		a := m.deploy("0.1.1-dev")
		if a.Reason != deploy.ReasonBundleUnavailable || !strings.Contains(a.Message, "clock") {
			t.Errorf("deploy: %s %s, %q", a.Outcome, a.Reason, a.Message)
		}
	})
}
