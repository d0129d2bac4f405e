package account_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/account"
	"github.com/org/atta-deploy-action/localaws/iam"
)

var (
	module  = account.Module{Service: "atta", Environment: "dev", Repository: "atta-dev", Bucket: "artifacts"}
	options = localaws.Options{Account: "123456789012", Partition: "aws", Region: "us-east-1"}
	tagged  = map[string]string{"ssm:resourcetag/environment": "dev", "ssm:resourcetag/service": "atta"}
)

const (
	repository = "arn:aws:ecr:us-east-1:123456789012:repository/"
	objects    = "arn:aws:s3:::artifacts/"
	document   = "arn:aws:ssm:us-east-1:123456789012:document/"
	instance   = "arn:aws:ec2:us-east-1:123456789012:instance/i-1"
	parameter  = "arn:aws:ssm:us-east-1:123456789012:parameter/"
	all        = "deploy rollback status plan instance"
)

func policyOf(t *testing.T, name string) iam.Policy {
	t.Helper()
	text, err := module.Policy(options, name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := iam.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What each role must not be able to do. A request that differs only in the resource or the tags, and is allowed, is what
// shows that the denial is for that difference.
func TestRolesAreDenied(t *testing.T) {
	keys := func(environment, service string) map[string]string {
		return map[string]string{"ssm:resourcetag/environment": environment, "ssm:resourcetag/service": service}
	}
	for _, test := range []struct {
		what, roles, action, denied string
		deniedKeys                  map[string]string
		allowed                     string // empty: the roles may do nothing of the kind
		allowedKeys                 map[string]string
	}{
		{"another repository", "deploy rollback plan instance", "ecr:BatchGetImage", repository + "atta-prod", nil, repository + "atta-dev", nil},
		{"push to another repository", "deploy", "ecr:PutImage", repository + "other-dev", nil, repository + "atta-dev", nil},
		{"push", "rollback status plan instance", "ecr:PutImage", repository + "atta-dev", nil, "", nil},
		{"start an upload", "rollback status plan instance", "ecr:InitiateLayerUpload", repository + "atta-dev", nil, "", nil},
		{"read images", "status", "ecr:BatchGetImage", repository + "atta-dev", nil, "", nil},
		{"read layers", "rollback status plan", "ecr:GetDownloadUrlForLayer", repository + "atta-dev", nil, "", nil},
		{"delete images", all, "ecr:BatchDeleteImage", repository + "atta-dev", nil, "", nil},
		{"create a repository", all, "ecr:CreateRepository", repository + "atta-dev", nil, "", nil},
		{"change the repository", all, "ecr:PutImageTagMutability", repository + "atta-dev", nil, "", nil},

		{"bundles of another environment", "deploy rollback plan instance", "s3:GetObject", objects + "bundles/prod/atta/b.tar.gz", nil, objects + "bundles/dev/atta/b.tar.gz", nil},
		{"bundles of another service", "deploy rollback plan instance", "s3:GetObject", objects + "bundles/dev/other/b.tar.gz", nil, objects + "bundles/dev/atta/b.tar.gz", nil},
		{"bundles of a service whose name begins alike", "deploy rollback instance", "s3:GetObject", objects + "bundles/dev/atta2/b.tar.gz", nil, objects + "bundles/dev/atta/b.tar.gz", nil},
		{"write bundles of another service", "deploy", "s3:PutObject", objects + "bundles/dev/other/b.tar.gz", nil, objects + "bundles/dev/atta/b.tar.gz", nil},
		{"write bundles", "rollback status plan instance", "s3:PutObject", objects + "bundles/dev/atta/b.tar.gz", nil, "", nil},
		{"read bundles", "status", "s3:GetObject", objects + "bundles/dev/atta/b.tar.gz", nil, "", nil},
		{"the state of another service", "deploy rollback status plan", "s3:GetObject", objects + "deployments/dev/other/lock.json", nil, objects + "deployments/dev/atta/lock.json", nil},
		{"write the state of another environment", "deploy rollback", "s3:PutObject", objects + "deployments/prod/atta/lock.json", nil, objects + "deployments/dev/atta/lock.json", nil},
		{"write the state", "status plan instance", "s3:PutObject", objects + "deployments/dev/atta/lock.json", nil, "", nil},
		{"read the state", "instance", "s3:GetObject", objects + "deployments/dev/atta/lock.json", nil, "", nil},
		{"record an image", "rollback", "s3:PutObject", objects + "deployments/dev/atta/images/0.1.0-dev.json", nil, objects + "deployments/dev/atta/history/x.json", nil},
		{"read the history", "status plan", "s3:GetObject", objects + "deployments/dev/atta/history/x.json", nil, objects + "deployments/dev/atta/current.json", nil},
		{"delete an object", all, "s3:DeleteObject", objects + "deployments/dev/atta/lock.json", nil, "", nil},
		{"another bucket", "deploy rollback plan", "s3:GetObject", "arn:aws:s3:::artifacts2/bundles/dev/atta/b.tar.gz", nil, objects + "bundles/dev/atta/b.tar.gz", nil},
		{"list another bucket", "deploy rollback status plan", "s3:ListBucket", "arn:aws:s3:::artifacts2", nil, "arn:aws:s3:::artifacts", nil},
		{"list the bucket", "instance", "s3:ListBucket", "arn:aws:s3:::artifacts", nil, "", nil},
		{"earlier versions of objects", all, "s3:GetObjectVersion", objects + "deployments/dev/atta/lock.json", nil, "", nil},
		{"change the bucket", all, "s3:PutBucketPolicy", "arn:aws:s3:::artifacts", nil, "", nil},

		{"a document of another service", "deploy", "ssm:SendCommand", document + "deploy-other-dev", nil, document + "deploy-atta-dev", nil},
		{"a document of another environment", "rollback", "ssm:SendCommand", document + "rollback-atta-prod", nil, document + "rollback-atta-dev", nil},
		{"the document of a deploy", "rollback status plan", "ssm:SendCommand", document + "deploy-atta-dev", nil, "", nil},
		{"the document of a rollback", "status plan", "ssm:SendCommand", document + "rollback-atta-dev", nil, document + "status-atta-dev", nil},
		{"the document that runs anything", all, "ssm:SendCommand", "arn:aws:ssm:us-east-1::document/AWS-RunShellScript", nil, "", nil},
		{"an untagged instance", "deploy rollback status plan", "ssm:SendCommand", instance, nil, instance, tagged},
		{"an instance of another environment", "deploy rollback status plan", "ssm:SendCommand", instance, keys("prod", "atta"), instance, tagged},
		{"an instance of another service", "deploy rollback status plan", "ssm:SendCommand", instance, keys("dev", "other"), instance, tagged},
		{"an instance without the second tag", "deploy rollback status plan", "ssm:SendCommand", instance, map[string]string{"ssm:resourcetag/environment": "dev"}, instance, tagged},
		{"commands from an instance", "instance", "ssm:SendCommand", instance, tagged, "", nil},
		{"change a document", all, "ssm:UpdateDocument", document + "deploy-atta-dev", nil, "", nil},
		{"open a session", all, "ssm:StartSession", instance, tagged, "", nil},
		{"a parameter", all, "ssm:GetParameter", parameter + "atta/dev/token", nil, "", nil},
		{"parameters by path", "deploy rollback status plan", "ssm:GetParametersByPath", parameter + "atta/dev", nil, "", nil},
		{"parameters of another path", "instance", "ssm:GetParametersByPath", parameter + "atta/prod", nil, parameter + "atta/dev", nil},
		{"assume a role", all, "sts:AssumeRole", "arn:aws:iam::123456789012:role/atta-deploy-dev", nil, "", nil},
		{"change a role", all, "iam:PutRolePolicy", "arn:aws:iam::123456789012:role/atta-deploy-dev", nil, "", nil},
		{"tag an instance", all, "ec2:CreateTags", instance, tagged, "", nil},
	} {
		for name := range strings.FieldsSeq(test.roles) {
			policy := policyOf(t, name)
			if got := iam.Evaluate(iam.Request{Action: test.action, Resource: test.denied, Keys: test.deniedKeys}, policy); got == iam.Allowed {
				t.Errorf("%s: %s may %s on %s", test.what, name, test.action, test.denied)
			}
			if test.allowed == "" {
				continue
			}
			if got := iam.Evaluate(iam.Request{Action: test.action, Resource: test.allowed, Keys: test.allowedKeys}, policy); got != iam.Allowed {
				t.Errorf("%s: %s may not %s on %s", test.what, name, test.action, test.allowed)
			}
		}
	}
}

// Whatever a role or a user of the account may do.
func TestBucketDenies(t *testing.T) {
	bucket := policyOf(t, "bucket")
	everything, err := iam.Parse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		action, key string
		keys        map[string]string
		want        iam.Decision
	}{
		"a bundle once":            {"s3:PutObject", "bundles/dev/atta/b.tar.gz", map[string]string{"aws:securetransport": "true", "s3:if-none-match": "*"}, iam.Allowed},
		"a bundle again":           {"s3:PutObject", "bundles/dev/atta/b.tar.gz", map[string]string{"aws:securetransport": "true"}, iam.Denied},
		"a bundle that matches":    {"s3:PutObject", "bundles/dev/atta/b.tar.gz", map[string]string{"aws:securetransport": "true", "s3:if-match": `"x"`}, iam.Denied},
		"the state again":          {"s3:PutObject", "deployments/dev/atta/lock.json", map[string]string{"aws:securetransport": "true"}, iam.Allowed},
		"a read without TLS":       {"s3:GetObject", "bundles/dev/atta/b.tar.gz", map[string]string{"aws:securetransport": "false"}, iam.Denied},
		"a write without TLS":      {"s3:PutObject", "deployments/dev/atta/lock.json", map[string]string{"aws:securetransport": "false"}, iam.Denied},
		"a bundle without TLS too": {"s3:PutObject", "bundles/dev/atta/b.tar.gz", map[string]string{"aws:securetransport": "false", "s3:if-none-match": "*"}, iam.Denied},
	} {
		request := iam.Request{Principal: iam.Principal{Kind: "AWS", Names: []string{"x"}}, Action: test.action, Resource: objects + test.key, Keys: test.keys}
		if got := iam.Evaluate(request, everything, bucket); got != test.want {
			t.Errorf("%s: the decision is %d, want %d", name, got, test.want)
		}
	}
}

func TestRolesTrustOneEnvironmentOfOneRepository(t *testing.T) {
	const provider = "token.actions.githubusercontent.com"
	for subject, want := range map[string]iam.Decision{
		"repo:org/atta:environment:dev":                   iam.Allowed,
		"repo:org@1234567/atta@987654321:environment:dev": iam.Allowed,
		"repo:org@1234567/atta@1:environment:dev":         iam.NotAllowed,
		"repo:org@1/atta@987654321:environment:dev":       iam.NotAllowed,
		"repo:org/atta:environment:prod":                  iam.NotAllowed,
		"repo:org/atta:environment:dev2":                  iam.NotAllowed,
		"repo:org/other:environment:dev":                  iam.NotAllowed,
		"repo:org/atta:ref:refs/heads/main":               iam.NotAllowed,
		"repo:org/atta:pull_request":                      iam.NotAllowed,
	} {
		request := iam.Request{
			Principal: iam.Principal{Kind: "Federated", Names: []string{"arn:aws:iam::123456789012:oidc-provider/" + provider}},
			Action:    "sts:AssumeRoleWithWebIdentity", Keys: map[string]string{provider + ":sub": subject, provider + ":aud": "sts.amazonaws.com"},
		}
		if got := iam.Evaluate(request, policyOf(t, "trust")); got != want {
			t.Errorf("%s: the decision is %d", subject, got)
		}
		request.Keys[provider+":sub"] = strings.Replace(subject, ":dev", ":dev-plan", 1)
		if got := iam.Evaluate(request, policyOf(t, "plan-trust")); got != want {
			t.Errorf("%s: the decision for a plan is %d", request.Keys[provider+":sub"], got)
		}
		request.Keys[provider+":sub"], request.Keys[provider+":aud"] = subject, "elsewhere"
		if iam.Evaluate(request, policyOf(t, "trust")) == iam.Allowed {
			t.Errorf("%s: another audience is trusted", subject)
		}
	}
}
