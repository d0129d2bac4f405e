package localaws_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/google/go-cmp/cmp"
	"github.com/org/atta-deploy-action/localaws"
)

const role = "arn:aws:iam::" + account + ":role/deploy"

// as returns the server's configuration with other credentials.
func as(s *localaws.Server, id, secret, token string) aws.Config {
	c := once(s)
	c.Credentials = credentials.NewStaticCredentialsProvider(id, secret, token)
	return c
}

func caller(t *testing.T, c aws.Config) (string, error) {
	t.Helper()
	out, err := sts.NewFromConfig(c).GetCallerIdentity(t.Context(), nil)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Arn), nil
}

func TestRunnersKeyIdentifiesTheRunner(t *testing.T) {
	s := start(t, localaws.Options{})
	arn, err := caller(t, s.Config())
	if err != nil || arn != "arn:aws:iam::"+account+":user/runner" {
		t.Fatalf("caller is %q, %v", arn, err)
	}
	if got := s.Calls()[0]; got.Operation != "sts:GetCallerIdentity" || got.Principal != arn || got.Status != 200 {
		t.Errorf("call recorded as %+v", got)
	}
}

func TestInvalidSignaturesGetEachServicesOwnError(t *testing.T) {
	c := &clock{}
	s := start(t, localaws.Options{Now: c.now})
	s.CreateBucket("artifacts")
	good, err := s.Config().Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := as(s, good.AccessKeyID, good.SecretAccessKey, "")
	other.Region = "eu-west-1"
	tests := map[string]struct {
		config       aws.Config
		later        time.Duration
		sts, ecr, s3 string
	}{
		"unknown key":   {as(s, "AKIAUNKNOWN", "secret", ""), 0, "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"},
		"wrong secret":  {as(s, good.AccessKeyID, "secret", ""), 0, "SignatureDoesNotMatch", "InvalidSignatureException", "SignatureDoesNotMatch"},
		"foreign token": {as(s, good.AccessKeyID, good.SecretAccessKey, "token"), 0, "InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken"},
		"wrong region":  {other, 0, "SignatureDoesNotMatch", "InvalidSignatureException", "AuthorizationHeaderMalformed"},
		"clock skew":    {once(s), time.Hour, "SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed"},
		"no signature":  {aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(s.URL()), Credentials: aws.AnonymousCredentials{}}, 0, "MissingAuthenticationToken", "MissingAuthenticationTokenException", "AccessDenied"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c.advance(test.later)
			defer c.advance(-test.later)
			_, err := caller(t, test.config)
			wantCode(t, err, test.sts)
			_, err = ecr.NewFromConfig(test.config).DescribeRepositories(t.Context(), nil)
			wantCode(t, err, test.ecr)
			_, err = s3.NewFromConfig(test.config).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("artifacts")})
			wantCode(t, err, test.s3)
		})
	}
}

func TestAssumedRoleIsThePrincipalUntilItExpires(t *testing.T) {
	c := &clock{}
	s := start(t, localaws.Options{Now: c.now})
	out, err := sts.NewFromConfig(s.Config()).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String(role), RoleSessionName: aws.String("deploy-7"), DurationSeconds: aws.Int32(900),
	})
	if err != nil {
		t.Fatal(err)
	}
	temporary := credentialsOf(s, out.Credentials)
	arn, err := caller(t, temporary)
	if err != nil || arn != "arn:aws:sts::"+account+":assumed-role/deploy/deploy-7" {
		t.Fatalf("caller is %q, %v", arn, err)
	}
	without := credentialsOf(s, out.Credentials)
	without.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, "")
	_, err = caller(t, without)
	wantCode(t, err, "InvalidClientTokenId")

	_, err = sts.NewFromConfig(once(s)).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String(role), RoleSessionName: aws.String("deploy-8"), DurationSeconds: aws.Int32(60),
	})
	wantCode(t, err, "ValidationError")
	_, err = sts.NewFromConfig(once(s)).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::999999999999:role/deploy"), RoleSessionName: aws.String("deploy-9"),
	})
	wantCode(t, err, "AccessDenied")
}

func TestExpiredCredentialsAreRefused(t *testing.T) {
	c := &clock{offset: -15 * time.Minute}
	s := start(t, localaws.Options{Now: c.now})
	token := idToken(t, s, "sts.amazonaws.com")
	out, err := assumeWeb(t, s, token, 900)
	if err != nil {
		t.Fatal(err)
	}
	c.advance(15 * time.Minute)
	_, err = caller(t, credentialsOf(s, out.Credentials))
	wantCode(t, err, "ExpiredToken")
	_, err = assumeWeb(t, s, token, 900)
	wantCode(t, err, "ExpiredTokenException")
}

func TestWebIdentityIsExchangedForARole(t *testing.T) {
	s := start(t, localaws.Options{})
	out, err := assumeWeb(t, s, idToken(t, s, "sts.amazonaws.com"), 3600)
	if err != nil {
		t.Fatal(err)
	}
	arn, err := caller(t, credentialsOf(s, out.Credentials))
	if err != nil || arn != "arn:aws:sts::"+account+":assumed-role/deploy/web" {
		t.Fatalf("caller is %q, %v", arn, err)
	}
	if diff := cmp.Diff([]string{"AssumeRoleWithWebIdentity", "GetCallerIdentity"}, operations(s, "sts:")); diff != "" {
		t.Error(diff)
	}
	_, err = assumeWeb(t, s, idToken(t, s, "elsewhere"), 3600)
	wantCode(t, err, "InvalidIdentityToken")
	_, err = assumeWeb(t, s, idToken(t, s, "sts.amazonaws.com")+"x", 3600)
	wantCode(t, err, "InvalidIdentityToken")
}

func TestSessionsAreLimitedByTheRoleAndByChaining(t *testing.T) {
	s := start(t, localaws.Options{})
	_, err := assumeWeb(t, s, idToken(t, s, "sts.amazonaws.com"), 7200)
	wantCode(t, err, "ValidationError")
	s = start(t, localaws.Options{Provider: localaws.Provider{MaxSession: 2 * time.Hour}})
	out, err := assumeWeb(t, s, idToken(t, s, "sts.amazonaws.com"), 7200)
	if err != nil {
		t.Fatal(err)
	}
	chained := &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("chained"), DurationSeconds: aws.Int32(7200)}
	_, err = sts.NewFromConfig(credentialsOf(s, out.Credentials)).AssumeRole(t.Context(), chained)
	wantCode(t, err, "ValidationError")
	if !strings.Contains(err.Error(), "role chaining") {
		t.Error(err)
	}
}

func TestTokenEndpointRequiresTheJobsBearerToken(t *testing.T) {
	s := start(t, localaws.Options{})
	url := strings.TrimPrefix(s.OIDCEnv()[0], "ACTIONS_ID_TOKEN_REQUEST_URL=")
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("status without bearer is %s", response.Status)
	}
}

func credentialsOf(s *localaws.Server, c *types.Credentials) aws.Config {
	return as(s, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
}

func assumeWeb(t *testing.T, s *localaws.Server, token string, seconds int32) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	t.Helper()
	return sts.NewFromConfig(once(s)).AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(role), RoleSessionName: aws.String("web"), WebIdentityToken: aws.String(token), DurationSeconds: aws.Int32(seconds),
	})
}

// idToken requests a token as GitHub's toolkit does.
func idToken(t *testing.T, s *localaws.Server, audience string) string {
	t.Helper()
	env := map[string]string{}
	for _, pair := range s.OIDCEnv() {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, env["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&audience="+audience, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var token struct{ Value string }
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil || token.Value == "" {
		t.Fatalf("token is %q, %v", token.Value, err)
	}
	return token.Value
}
