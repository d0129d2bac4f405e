package e2e

import (
	"testing"

	"github.com/org/atta-deploy-action/localaws"
)

// Other credentials are in the environment of the job:
// https://github.com/aws-actions/configure-aws-credentials/issues/681
func TestCaseOtherCredentialsDoNotKeepAJobFromItsOIDCToken(t *testing.T) {
	for name, env := range map[string][]string{
		"old keys":      {"AWS_ACCESS_KEY_ID=AKIAOLDOLDOLDOLDOLD", "AWS_SECRET_ACCESS_KEY=old", "AWS_SESSION_TOKEN=old"},
		"empty keys":    {"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN="},
		"role and file": {"AWS_ROLE_ARN=arn:aws:iam::123456789012:role/other", "AWS_WEB_IDENTITY_TOKEN_FILE=/nonexistent"},
		"profile":       {"AWS_PROFILE=deployer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, false, localaws.Options{Subject: "repo:org/atta:environment:dev"})
			s.trustSubject("repo:org/atta:environment:dev")
			s.build("0.1.0-dev")
			p := s.withOIDC()
			p.Env = append(p.Env, env...)
			p.run().wants("success")
		})
	}
}

// A run that cannot begin has a status and a remedy as well.
func TestCaseWhatKeepsARunFromItsCredentialsIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"profile":   {[]string{"AWS_PROFILE=deployer"}, "AWS_PROFILE"},
		"CA bundle": {[]string{"AWS_CA_BUNDLE=/etc/company/ca.pem"}, "github.workspace"},
		"old keys":  {[]string{"AWS_ACCESS_KEY_ID=AKIAOLDOLDOLDOLDOLD", "AWS_SECRET_ACCESS_KEY=old"}, "id-token: write"},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, false, localaws.Options{})
			s.build("0.1.0-dev")
			p := s.step("role-to-assume=" + role).withoutKeys() // and without OIDC
			p.Env = append(p.Env, c.env...)
			out := p.run()
			out.wants("failed")
			out.says(c.want)
		})
	}
}
