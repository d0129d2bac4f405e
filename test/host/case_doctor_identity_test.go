//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// STS answers that the credentials are not valid, so nothing can be downloaded: that is not a host that is ready, whose STS
// was not reached. https://github.com/aws/amazon-ssm-agent/issues/526
func TestCaseADoctorIsNotReadyWithCredentialsThatAWSRefuses(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.write("root/.aws/credentials", "[default]\n", 0o600)
	m.replace("aws", strings.Replace(m.awsWithKeys(), " AWS_ACCESS_KEY_ID=", " AWS_ACCESS_KEY_ID=AKIAOLD", 1))
	a := m.send([]string{"doctor", "--service=atta", "--deployment=ask", "--region=us-east-1"})
	if a.Outcome == "ready" {
		t.Errorf("%q", a.Message)
	}
}
