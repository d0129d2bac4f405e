package e2e

import (
	"testing"

	"github.com/org/atta-deploy-action/localaws"
)

// A job that has the input `environment` only is outside the environment's rules, and a role that is made to trust
// it is as well: https://github.com/chrnorm/deployment-action/issues/67
func TestCaseAJobWithoutItsEnvironmentIsToldSo(t *testing.T) {
	for name, subject := range map[string]string{
		"tag": "repo:org/atta:ref:refs/tags/0.1.0-dev", "branch": "repo:org/atta:ref:refs/heads/main", "pull request": "repo:org/atta:pull_request",
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, false, localaws.Options{Subject: subject})
			s.build("0.1.0-dev")
			out := s.withOIDC().run()
			out.wants("failed")
			out.says("environment: dev")
		})
	}
}
