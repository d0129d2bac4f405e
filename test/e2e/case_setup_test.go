package e2e

import (
	"strings"
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

// "Run workflow" offers the default branch, which has no version: https://github.com/ViewComponent/view_component/pull/2703,
// https://github.com/phase-rs/phase/pull/8330
func TestCaseADeployThatWasStartedFromABranchIsToldToUseTheTag(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	for _, settings := range [][]string{{"version="}, {"version=", "operation=plan", "phases=image", "image="}} {
		out := s.run(append(settings, "GITHUB_EVENT_NAME=workflow_dispatch")...)
		out.says("version is missing", "main", "--ref")
	}
}

// An agent that had no role when it was started tries again after up to an hour, so the role that is attached then seems to have no
// effect: https://github.com/peterkimzz/aws-ssm-send-command/issues/5, https://github.com/aws/amazon-ssm-agent/issues/202
func TestCaseAnInstanceWhoseRoleCameLaterIsHelped(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	out := s.run("instance-ids=i-0123456789abcdef9")
	out.wants("failed")
	out.says("AmazonSSMManagedInstanceCore", "amazon-ssm-agent")
}

// AWS_ROLE_ARN is a secret of the environment, and the caller of deploy.yml has no secrets: inherit, so role-to-assume is
// empty. The job may ask for its token: so granting that does not help. https://github.com/actions/runner/issues/1490
func TestCaseARoleThatIsEmptyIsNotAMissingPermission(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	out := s.withOIDC("role-to-assume=").run()
	out.wants("failed")
	out.says("role-to-assume is empty")
	if strings.Contains(out.log, "grant the job permissions: id-token: write") {
		t.Errorf("the job has that permission:\n%s", out.log)
	}
}

// The same for the variables without which nothing begins.
func TestCaseAnEmptyInputNamesWhatMayHaveEmptiedIt(t *testing.T) {
	s := play(t)
	out := s.run("operation=plan", "phases=image", "image=", "instance-ids=", "ecr-repository=")
	out.says("ecr-repository is missing", "secrets: inherit")
}

// One of several machines is off, and the others need the release: https://github.com/serokell/deploy-rs/issues/221
func TestCaseAnInstanceThatIsOffNamesTheWayToGoOnWithoutIt(t *testing.T) {
	s := play(t)
	const off, lost = "i-0000000000000000a", "i-0000000000000000b"
	s.aws.AddInstance(localaws.Instance{ID: off, Stopped: true})
	s.aws.AddInstance(localaws.Instance{ID: lost, PingStatus: "ConnectionLost"})
	s.build("0.1.0-dev")
	for _, id := range []string{off, lost} {
		out := s.run("instance-ids=" + instanceID + "," + id)
		out.wants("failed")
		out.says(id, "without it")
	}
}
