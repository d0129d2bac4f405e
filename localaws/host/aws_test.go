package host_test

import (
	"fmt"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/host"
)

// attach boots a host that is an instance of a local AWS.
func attach(t *testing.T, awsCLI string) (machine, *localaws.Server) {
	t.Helper()
	server, err := localaws.Start(localaws.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	config := server.Config()
	keys, err := config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Options{Dir: t.TempDir(), Standins: standinPrograms, Endpoint: server.URL(), AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey, AWSCLI: awsCLI})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	server.CreateBucket("artifacts")
	server.CreateRepository("atta", "IMMUTABLE")
	return machine{h, t}, server
}

func TestTheStandInForAWSCopiesObjects(t *testing.T) {
	t.Parallel()
	m, server := attach(t, "standin")
	m.write("/tmp/up", "content")
	m.sh(0, "aws s3 cp --region us-east-1 --only-show-errors $ATTA_ROOT/tmp/up s3://artifacts/a/b.txt")
	if body, ok := server.Object("artifacts", "a/b.txt"); !ok || string(body) != "content" {
		t.Errorf("the bucket holds %q, %v", body, ok)
	}
	m.wantPart(0, "aws s3 cp s3://artifacts/a/b.txt $ATTA_ROOT/tmp/down --region us-east-1; cat $ATTA_ROOT/tmp/down", "content")
	m.want(0, "aws --region us-east-1 s3 cp s3://artifacts/a/b.txt -", "content")
	m.wantPart(1, "aws --region us-east-1 s3 cp s3://artifacts/none $ATTA_ROOT/tmp/none", "An error occurred (404) when calling the HeadObject operation")
	m.want(1, "test -e $ATTA_ROOT/tmp/none", "")
	m.wantPart(253, "aws s3 cp s3://artifacts/a/b.txt -", "You must specify a region")
	m.wantPart(252, "aws --region us-east-1 s3 sync a b", "Invalid choice")
}

func TestDockerLogsInToECR(t *testing.T) {
	t.Parallel()
	m, server := attach(t, "standin")
	login := "aws ecr get-login-password --region us-east-1 | docker login --username AWS --password-stdin " + server.RegistryHost()
	m.wantPart(0, "set -o pipefail; "+login, "Login Succeeded")
	m.wantPart(1, "docker pull "+server.RegistryHost()+"/atta:none", "manifest unknown")
	m.wantPart(0, "aws sts get-caller-identity --region us-east-1", `"Account": "123456789012"`)
}

func TestRealAWSCLIIsUsedWhenInstalled(t *testing.T) {
	t.Parallel()
	m, server := attach(t, "")
	m.write("/tmp/up", "content")
	m.sh(0, "aws s3 cp --region us-east-1 --only-show-errors $ATTA_ROOT/tmp/up s3://artifacts/a/b.txt")
	if body, ok := server.Object("artifacts", "a/b.txt"); !ok || string(body) != "content" {
		t.Errorf("the bucket holds %q, %v", body, ok)
	}
}

// The stand-in and the real CLI print parameters alike, with what does not fit a line marked.
func TestEveryAWSCLIPrintsParametersAlike(t *testing.T) {
	t.Parallel()
	for _, cli := range []string{"standin", ""} {
		m, server := attach(t, cli)
		var want string
		for i := range 11 {
			server.PutParameter(localaws.Parameter{Name: fmt.Sprintf("/atta/dev/K%02d", i), Value: "\tv é日本 \\ \" "})
			want += fmt.Sprintf("False\t/atta/dev/K%02d\t\tv é日本 \\ \" \n", i)
		}
		server.PutParameter(localaws.Parameter{Name: "/atta/dev/LINES", Value: "one\ntwo"})
		server.PutParameter(localaws.Parameter{Name: "/atta/dev/TOKEN", Value: "secret", Type: "SecureString"})
		server.PutParameter(localaws.Parameter{Name: "/atta/dev/deeper/K", Value: "v"})
		want += "True\t/atta/dev/LINES\tone\ntwo\nFalse\t/atta/dev/TOKEN\tsecret"
		read := "LC_ALL=C aws ssm get-parameters-by-path --region us-east-1 --with-decryption --output text --query 'Parameters[].[contains(Value, `\"\\n\"`), Name, Value]' --path "
		m.want(0, read+"/atta/dev", want)
		m.want(0, read+"/none", "")
		server.PutParameter(localaws.Parameter{Name: "/atta/dev/TOKEN", Value: "secret", Type: "SecureString", KeyDenied: true})
		m.wantPart(254, "("+read+"/atta/dev) 2>&1 >/dev/null", "An error occurred (AccessDeniedException) when calling the GetParametersByPath operation: The ciphertext refers to")
	}
}
