package host_test

import (
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
