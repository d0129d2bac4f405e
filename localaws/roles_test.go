package localaws_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/iam"
)

// trustOf is a trust policy with a principal and a condition.
func trustOf(action, principal, condition string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Principal":` + principal + `,"Condition":{` + condition + `}}]}`
}

var (
	trustGitHub = trustOf("sts:AssumeRoleWithWebIdentity", `{"Federated":"arn:aws:iam::`+account+`:oidc-provider/token.actions.githubusercontent.com"}`,
		`"StringLike":{"token.actions.githubusercontent.com:sub":"repo:org/atta:*"}`)
	trustEC2 = trustOf("sts:AssumeRole", `{"Service":"ec2.amazonaws.com"}`, "")
)

// createRole creates the role deploy, with one statement, and returns the configuration of a session.
func createRole(t *testing.T, s *localaws.Server, trust, statement string) aws.Config {
	t.Helper()
	policy := `{"Version":"2012-10-17","Statement":[` + statement + `]}`
	if err := s.CreateRole(localaws.Role{Name: "deploy", Trust: trust, Policies: []string{policy}}); err != nil {
		t.Fatal(err)
	}
	c := s.RoleCredentials("deploy", "one")
	return as(s, c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
}

// wantDenied fails the test unless err is of a permission on a resource.
func wantDenied(t *testing.T, err error, code, permission, resource string) {
	t.Helper()
	wantCode(t, err, code)
	message := "User: arn:aws:sts::" + account + ":assumed-role/deploy/one is not authorized to perform: " + permission + " on resource: " + resource
	if !strings.Contains(err.Error(), message) {
		t.Errorf("the error is %v, want %s", err, message)
	}
}

func TestRolesTrustTheirSubjectOnly(t *testing.T) {
	s := start(t, localaws.Options{})
	createRole(t, s, trustGitHub, `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	_, err := assumeWeb(t, s, idToken(t, s, "sts.amazonaws.com"), 900) // has the immutable form
	wantCode(t, err, "AccessDenied")
	if strings.Contains(err.Error(), "repo:") {
		t.Errorf("the service names the subject: %v", err)
	}
	s = start(t, localaws.Options{Subject: "repo:org/atta:environment:dev"})
	createRole(t, s, trustGitHub, `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	if _, err := assumeWeb(t, s, idToken(t, s, "sts.amazonaws.com"), 900); err != nil {
		t.Error(err)
	}
	s = start(t, localaws.Options{Provider: localaws.Provider{Missing: true}})
	_, err = assumeWeb(t, s, idToken(t, s, "sts.amazonaws.com"), 900)
	wantCode(t, err, "InvalidIdentityToken")
}

func TestRoleIsAssumedByWhomItTrusts(t *testing.T) {
	for name, test := range map[string]struct {
		principal string
		code      string
	}{
		"the runner":   {`{"AWS":"arn:aws:iam::` + account + `:user/runner"}`, ""},
		"the account":  {`{"AWS":"arn:aws:iam::` + account + `:root"}`, ""},
		"another user": {`{"AWS":"arn:aws:iam::` + account + `:user/other"}`, "AccessDenied"},
		"EC2":          {`{"Service":"ec2.amazonaws.com"}`, "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, localaws.Options{})
			session := createRole(t, s, trustOf("sts:AssumeRole", test.principal, ""), `{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`)
			in := &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("deploy-7")}
			_, err := sts.NewFromConfig(once(s)).AssumeRole(t.Context(), in)
			if test.code == "" && err != nil {
				t.Error(err)
			} else if test.code != "" {
				wantCode(t, err, test.code)
			}
			_, err = sts.NewFromConfig(session).AssumeRole(t.Context(), in)
			wantCode(t, err, "AccessDenied")
		})
	}
}

func TestCallsNeedThePermissionOfTheRole(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateRepository("atta", "MUTABLE")
	s.CreateRepository("other", "MUTABLE")
	arn := "arn:aws:ecr:us-east-1:" + account + ":repository/"
	c := createRole(t, s, trustEC2, `{"Effect":"Allow","Action":["ecr:Describe*"],"Resource":"`+arn+`atta"},{"Effect":"Allow","Action":"ssm:SendCommand","Resource":["*"]}`)
	client := ecr.NewFromConfig(c)
	describe := func(name string) error {
		_, err := client.DescribeImages(t.Context(), &ecr.DescribeImagesInput{RepositoryName: aws.String(name)})
		return err
	}
	if err := describe("atta"); err != nil {
		t.Error(err)
	}
	wantDenied(t, describe("other"), "AccessDeniedException", "ecr:DescribeImages", arn+"other")
	_, err := client.GetAuthorizationToken(t.Context(), nil)
	wantDenied(t, err, "AccessDeniedException", "ecr:GetAuthorizationToken", "*")
	_, err = ssm.NewFromConfig(c).DescribeInstanceInformation(t.Context(), nil)
	wantDenied(t, err, "AccessDeniedException", "ssm:DescribeInstanceInformation", "*")
	_, err = ssm.NewFromConfig(c).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/atta/token")})
	wantDenied(t, err, "AccessDeniedException", "ssm:GetParameter", "arn:aws:ssm:us-east-1:"+account+":parameter/atta/token")

	last := s.Calls()[len(s.Calls())-1]
	want := []localaws.Permission{{Action: "ssm:GetParameter", Resource: "arn:aws:ssm:us-east-1:" + account + ":parameter/atta/token"}}
	if diff := cmp.Diff(want, last.Permissions); diff != "" || last.Role != "deploy" {
		t.Errorf("role %s\n%s", last.Role, diff)
	}
	if _, err := ecr.NewFromConfig(once(s)).GetAuthorizationToken(t.Context(), nil); err != nil { // the runner has no role
		t.Error(err)
	}
}

func TestRegistryNeedsThePermissionsOfItsLogin(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateRepository("atta", "MUTABLE")
	all := []string{"BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage", "BatchGetImage", "GetDownloadUrlForLayer"}
	allowed := func(actions ...string) remote.Option {
		statement := `{"Effect":"Allow","Action":["ecr:GetAuthorizationToken","ecr:` + strings.Join(actions, `","ecr:`) + `"],"Resource":"*"}`
		return loginWith(t, s, createRole(t, s, trustEC2, statement))
	}
	image := randomImage(t)
	if err := remote.Write(tag(t, s, "atta:1"), image, allowed(all...)); err != nil {
		t.Fatal(err)
	}
	denied := func(action string) (remote.Option, string) {
		return allowed(slices.DeleteFunc(slices.Clone(all), func(a string) bool { return a == action })...), "is not authorized to perform: ecr:" + action + " on resource: arn:aws:ecr:us-east-1:" + account + ":repository/atta"
	}
	for _, action := range []string{"PutImage", "CompleteLayerUpload", "UploadLayerPart"} {
		auth, message := denied(action)
		wantRegistry(t, remote.Write(tag(t, s, "atta:2"), randomImage(t), auth), 403, "DENIED", message)
	}
	auth, message := denied("BatchGetImage")
	_, err := remote.Get(tag(t, s, "atta:1"), auth)
	wantRegistry(t, err, 403, "DENIED", message)
	auth, _ = denied("InitiateLayerUpload")
	if err := remote.Write(tag(t, s, "atta:3"), randomImage(t), auth); !errors.Is(err, io.EOF) {
		t.Errorf("the start of an upload ends with %v", err)
	}
}

func TestSendingNeedsTheDocumentAndEachInstance(t *testing.T) {
	s := start(t, localaws.Options{})
	arn := ":us-east-1:" + account + ":"
	for id, tags := range map[string]map[string]string{"i-1": {"Service": "atta"}, "i-2": {"Service": "other"}, "i-3": nil} {
		s.AddInstance(localaws.Instance{ID: id, Tags: tags})
	}
	c := createRole(t, s, trustEC2, `{"Effect":"Allow","Action":"ssm:SendCommand","Resource":"arn:aws:ssm:us-east-1::document/AWS-RunShellScript"},
		{"Effect":"Allow","Action":"ssm:SendCommand","Resource":"arn:aws:ec2`+arn+`instance/*","Condition":{"StringEquals":{"ssm:resourceTag/Service":"atta"}}},
		{"Effect":"Allow","Action":"ssm:ListCommandInvocations","Resource":"*"}`)
	client := ssm.NewFromConfig(c)
	if _, err := client.SendCommand(t.Context(), shell("true", "i-1")); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"i-2", "i-3", "i-4"} {
		_, err := client.SendCommand(t.Context(), shell("true", "i-1", id))
		wantDenied(t, err, "AccessDeniedException", "ssm:SendCommand", "arn:aws:ec2"+arn+"instance/"+id)
	}
	_, err := client.SendCommand(t.Context(), shell("true", "mi-1"))
	wantDenied(t, err, "AccessDeniedException", "ssm:SendCommand", "arn:aws:ssm"+arn+"managed-instance/mi-1")
	in := shell("true", "i-1")
	in.DocumentName = aws.String("deploy-atta-dev")
	_, err = client.SendCommand(t.Context(), in)
	wantDenied(t, err, "AccessDeniedException", "ssm:SendCommand", "arn:aws:ssm"+arn+"document/deploy-atta-dev")

	in = shell("true")
	in.Targets = target("tag:Service", "atta", "other")
	out, err := client.SendCommand(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for _, invocation := range waitForDetails(t, s, *out.Command.CommandId, "Success", "AccessDenied") {
		if denied := *invocation.StatusDetails == "AccessDenied"; denied != (*invocation.InstanceId == "i-2") {
			t.Errorf("%s is %s", *invocation.InstanceId, *invocation.StatusDetails)
		}
	}
}

func TestObjectsNeedThePermissionsOfRoleAndBucket(t *testing.T) {
	s := start(t, localaws.Options{})
	bucketPolicy, err := iam.Parse(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::artifacts/bundles/*","Condition":{"Null":{"s3:if-none-match":"true"}}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	s.CreateBucket("artifacts", localaws.WithPolicy(bucketPolicy))
	const objects = "arn:aws:s3:::artifacts/"
	grant := func(statement string) *s3.Client { return s3.NewFromConfig(createRole(t, s, trustEC2, statement)) }
	read := func(c *s3.Client, key string) error {
		_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("artifacts"), Key: aws.String(key)})
		return err
	}
	write := func(c *s3.Client, key, match, noneMatch string) error {
		in := putInput(key, "v")
		if match != "" {
			in.IfMatch = &match
		}
		if noneMatch != "" {
			in.IfNoneMatch = &noneMatch
		}
		_, err := c.PutObject(t.Context(), in)
		return err
	}
	writer := grant(`{"Effect":"Allow","Action":"s3:PutObject","Resource":"` + objects + `*"}`)
	if err := errors.Join(write(writer, "state/k", "", ""), write(writer, "bundles/k", "", "*")); err != nil {
		t.Fatal(err)
	}
	wantDenied(t, write(writer, "bundles/k", "", ""), "AccessDenied", "s3:PutObject", `"`+objects+`bundles/k" with an explicit deny in a resource-based policy`)
	wantDenied(t, write(writer, "state/k", `"x"`, ""), "AccessDenied", "s3:GetObject", `"`+objects+`state/k"`)
	wantDenied(t, read(writer, "state/k"), "AccessDenied", "s3:GetObject", `"`+objects+`state/k"`)

	reader := grant(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"` + objects + `*"}`)
	if err := read(reader, "state/k"); err != nil {
		t.Error(err)
	}
	wantDenied(t, read(reader, "missing"), "AccessDenied", "s3:ListBucket", `"arn:aws:s3:::artifacts"`)
	wantDenied(t, write(reader, "state/k", "", ""), "AccessDenied", "s3:PutObject", `"`+objects+`state/k"`)
	wantCode(t, read(grant(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`), "missing"), "NoSuchKey")
}

// Both accounts have to allow a request.
func TestBucketOfAnotherAccountNeedsItsPolicyToo(t *testing.T) {
	s := start(t, localaws.Options{})
	c := createRole(t, s, trustEC2, `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	create := func(principal string) {
		policy, err := iam.Parse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"s3:PutObject","Resource":"*"}]}`)
		if err != nil {
			t.Fatal(err)
		}
		s.CreateBucket("artifacts", localaws.OwnedBy("999999999999"), localaws.WithPolicy(policy))
	}
	s.CreateBucket("artifacts", localaws.OwnedBy("999999999999"))
	_, err := s3.NewFromConfig(c).PutObject(t.Context(), putInput("k", "v"))
	wantCode(t, err, "AccessDenied")
	for principal, allowed := range map[string]bool{account: true, role: true, "arn:aws:iam::" + account + ":root": true, "999999999999": false} {
		create(principal)
		_, err := s3.NewFromConfig(c).PutObject(t.Context(), putInput("k", "v"))
		if allowed && err != nil {
			t.Errorf("%s: %v", principal, err)
		} else if !allowed {
			wantCode(t, err, "AccessDenied")
		}
	}
}
