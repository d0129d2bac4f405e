package report_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// The organization has customized the subject, in which the environment is the first claim or none:
// https://docs.github.com/en/actions/reference/security/oidc#customizing-the-token-claims
func TestACustomSubjectDoesNotSayThatAJobHasNoEnvironment(t *testing.T) {
	for _, subject := range []string{"environment:dev:repo:org/atta", "repo:org/atta:job_workflow_ref:org/atta/.github/workflows/deploy-dev.yml@refs/tags/0.1.30-dev"} {
		refused := &rollout.RoleError{Claims: rollout.Claims{Subject: subject, Audience: "sts.amazonaws.com"}, Refusal: rollout.RefusedSubject,
			Err: call("STS", "AssumeRoleWithWebIdentity", "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")}
		if hints := strings.Join(report.Hints(finished(), refused), "\n"); strings.Contains(hints, "This job has no environment:") {
			t.Errorf("%s: %s", subject, hints)
		}
	}
}
