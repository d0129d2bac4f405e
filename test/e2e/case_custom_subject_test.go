package e2e

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
)

// To trust a reusable workflow, GitHub customises the subject, which then need not name the environment that the job has:
// https://github.com/aws-actions/configure-aws-credentials/issues/331,
// https://docs.github.com/en/actions/reference/security/oidc#customizing-the-subject-claims-for-an-organization-or-repository
func TestCaseACustomisedSubjectIsNotTakenForAJobWithoutAnEnvironment(t *testing.T) {
	for name, subject := range map[string]string{
		"reusable workflow":                "job_workflow_ref:org/atta-deploy-action/.github/workflows/deploy.yml@refs/tags/v1",
		"repository and reusable workflow": "repo:org/atta:job_workflow_ref:org/atta-deploy-action/.github/workflows/deploy.yml@refs/tags/v1",
		"environment first":                "environment:dev:repository_owner:org",
		"owner":                            "repository_owner:org",
		"repository by id":                 "repository_id:987654321",
		"with context":                     "repo:org/atta:environment:dev:job_workflow_ref:org/atta-deploy-action/.github/workflows/deploy.yml@refs/tags/v1",
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, false, localaws.Options{Subject: subject})
			s.build("0.1.0-dev")
			out := s.withOIDC().run()
			out.wants("failed")
			out.says("the sub "+subject, `:sub":"`+subject+`"`)
			if strings.Contains(out.log, "This job has no environment:") {
				t.Error("it says that the job has no environment, which a customised subject does not tell")
			}
		})
	}
}
