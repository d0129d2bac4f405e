package report_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// A self-hosted runner on EC2, whose instance profile deploys: role-to-assume is empty on purpose, and the job has id-token: write for
// another step. The metadata service does not answer a container: that is what to mend.
func TestARunnerWhoseMetadataDoesNotAnswerIsNotToldToSetARole(t *testing.T) {
	imds := &smithy.OperationError{ServiceID: "ec2imds", OperationName: "GetMetadata", Err: fmt.Errorf("request canceled, %w", context.DeadlineExceeded)}
	err := fmt.Errorf("get AWS caller identity: %w", &smithy.OperationError{ServiceID: "STS", OperationName: "GetCallerIdentity",
		Err: fmt.Errorf("get identity: get credentials: %w", &rollout.RoleError{Refusal: rollout.NoRole, Err: fmt.Errorf("failed to refresh cached credentials, no EC2 IMDS role found, %w", imds)})})
	result := finished()
	result.Status = rollout.OutcomeFailed
	if hints := strings.Join(report.Hints(result, err), "\n"); !strings.Contains(hints, "hop limit of 2") {
		t.Error(hints)
	}
}
