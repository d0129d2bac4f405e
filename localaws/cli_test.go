//go:build e2e

package localaws_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/org/atta-deploy-action/localaws"
)

// tool runs a Debian program and returns its stdout.
func tool(t *testing.T, s *localaws.Server, stdin, debian, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing: apt-get install %s", program, debian)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), append(s.Env(), "HOME="+t.TempDir(), "AWS_PAGER=")...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(stdout.String())
}

// cli runs the AWS CLI and returns what it printed.
func cli(t *testing.T, s *localaws.Server, args ...string) string {
	t.Helper()
	return tool(t, s, "", "awscli", "aws", append([]string{"--endpoint-url", s.URL(), "--output", "json"}, args...)...)
}

// query runs the CLI and returns the value that a JMESPath expression selects.
func query(t *testing.T, s *localaws.Server, expression string, args ...string) string {
	t.Helper()
	return cli(t, s, append(args, "--output", "text", "--query", expression)...)
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestE2ETheCLIGetsItsCallerIdentity(t *testing.T) {
	s := start(t, localaws.Options{})
	if got := query(t, s, "Arn", "sts", "get-caller-identity"); got != "arn:aws:iam::"+account+":user/runner" {
		t.Errorf("caller is %s", got)
	}
}

func TestE2ETheCLICopiesToAndFromS3(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateBucket("artifacts")
	there, back := write(t, "bundle.tar.gz", "bundle"), filepath.Join(t.TempDir(), "back")
	cli(t, s, "s3", "cp", there, "s3://artifacts/bundles/a b.tar.gz")
	cli(t, s, "s3", "cp", "s3://artifacts/bundles/a b.tar.gz", back)
	if got := read(t, back); got != "bundle" {
		t.Errorf("came back as %q", got)
	}
	if got := cli(t, s, "s3", "ls", "s3://artifacts/bundles/"); !strings.HasSuffix(got, " 6 a b.tar.gz") {
		t.Errorf("listed as %q", got)
	}
}

func TestE2ETheCLIPutsHeadsAndGetsObjects(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateBucket("artifacts")
	object := []string{"--bucket", "artifacts", "--key", "k", "--expected-bucket-owner", account}
	call := func(operation string, more ...string) []string {
		return append(append([]string{"s3api", operation}, object...), more...)
	}
	cli(t, s, call("put-object", "--body", write(t, "body", "content"), "--checksum-algorithm", "SHA256")...)
	if got := query(t, s, "ChecksumSHA256", call("head-object", "--checksum-mode", "ENABLED")...); got != *checksum("content") {
		t.Errorf("checksum is %s", got)
	}
	file := filepath.Join(t.TempDir(), "out")
	cli(t, s, call("get-object", "--range", "bytes=0-3", file)...)
	if got := read(t, file); got != "cont" {
		t.Errorf("range is %q", got)
	}
}

func TestE2ETheCLILogsInToECRAndSkopeoCopies(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateRepository("atta", "IMMUTABLE")
	password := cli(t, s, "ecr", "get-login-password")
	// As an instance asks, which wants to know the registry as well.
	endpoint, token, _ := strings.Cut(query(t, s, "authorizationData[0].[proxyEndpoint,authorizationToken]", "ecr", "get-authorization-token"), "\t")
	login, err := base64.StdEncoding.DecodeString(token)
	if err != nil || endpoint != s.URL() || !strings.HasPrefix(string(login), "AWS:") {
		t.Errorf("%s, %s: %v", endpoint, login, err)
	}
	image := randomImage(t)
	archive := filepath.Join(t.TempDir(), "image.tar")
	ref, err := name.NewTag("atta:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(archive, ref, image); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(image); err != nil {
		t.Fatal(err)
	}
	there := "docker://" + s.RegistryHost() + "/atta:"
	skopeo := func(args ...string) string { return tool(t, s, "", "skopeo", "skopeo", args...) }
	skopeo("copy", "--insecure-policy", "--dest-tls-verify=false", "--dest-creds", "AWS:"+password, "oci:"+folder, there+"1")
	skopeo("copy", "--insecure-policy", "--dest-tls-verify=false", "--dest-creds", string(login), "docker-archive:"+archive, there+"2")
	digest := skopeo("inspect", "--tls-verify=false", "--creds", "AWS:"+password, "--format", "{{.Digest}}", there+"1")
	if digest != digestOf(t, image) {
		t.Errorf("digest is %s, want %s", digest, digestOf(t, image))
	}
	got := query(t, s, "imageDetails[0].imageDigest", "ecr", "describe-images", "--repository-name", "atta", "--image-ids", "imageTag=1")
	if got != digest {
		t.Errorf("described as %s", got)
	}
	if tags := query(t, s, "length(imageDetails)", "ecr", "describe-images", "--repository-name", "atta"); tags != "2" {
		t.Errorf("%s images", tags)
	}
}

func TestE2ETheCLISendsFollowsAndCancelsCommands(t *testing.T) {
	s := start(t, localaws.Options{})
	running := make(chan string, 1)
	s.AddInstance(localaws.Instance{ID: "i-0123456789abcdef0", Name: "web", Machine: machine(func(context.Context, string, []string) localaws.Exit {
		return localaws.Exit{Code: 3, Stdout: []byte("out")}
	})})
	s.AddInstance(localaws.Instance{ID: "i-0123456789abcdef1", Machine: blocked(running)})
	if got := query(t, s, "InstanceInformationList[].InstanceId", "ssm", "describe-instance-information", "--filters", "Key=PingStatus,Values=Online"); got != "i-0123456789abcdef0\ti-0123456789abcdef1" {
		t.Errorf("instances are %q", got)
	}
	send := func(instance string) string {
		return query(t, s, "Command.CommandId", "ssm", "send-command", "--document-name", "AWS-RunShellScript",
			"--instance-ids", instance, "--parameters", `{"commands":["echo out","exit 3"]}`)
	}
	id := send("i-0123456789abcdef0")
	waitForDetails(t, s, id, "Failed")
	listed := query(t, s, "CommandInvocations[0].CommandPlugins[0].Output", "ssm", "list-command-invocations", "--command-id", id, "--details")
	if want := "out\n----------ERROR-------\nfailed to run commands: exit status 3"; listed != want {
		t.Errorf("listed output is %q", listed)
	}
	var got struct {
		Status, StandardOutputContent string
		ResponseCode                  int
	}
	answer := cli(t, s, "ssm", "get-command-invocation", "--command-id", id, "--instance-id", "i-0123456789abcdef0")
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got.Status != "Failed" || got.StandardOutputContent != "out" || got.ResponseCode != 3 {
		t.Errorf("invocation is %+v, %v", got, err)
	}
	id = send("i-0123456789abcdef1")
	<-running
	cli(t, s, "ssm", "cancel-command", "--command-id", id)
	waitForDetails(t, s, id, "Cancelled")
	if status := query(t, s, "Commands[0].Status", "ssm", "list-commands", "--command-id", id); status != "Cancelled" {
		t.Errorf("parent is %s", status)
	}
}

func TestE2ETheCLICreatesAndUpdatesDocuments(t *testing.T) {
	s := start(t, localaws.Options{})
	s.AddInstance(localaws.Instance{ID: "i-0123456789abcdef0"})
	if got := query(t, s, "DocumentDescription.Status", "ssm", "create-document", "--name", "greet", "--document-type", "Command", "--document-format", "JSON", "--content", greeting); got != "Active" {
		t.Errorf("the document is %s", got)
	}
	changed := write(t, "greet.json", strings.Replace(greeting, "hello", "goodbye", 1))
	cli(t, s, "ssm", "update-document", "--name", "greet", "--document-version", "$LATEST", "--content", "file://"+changed)
	if got := query(t, s, "Document.[DefaultVersion,LatestVersion]", "ssm", "describe-document", "--name", "greet"); got != "1\t2" {
		t.Errorf("the default and the latest version are %q", got)
	}
	cli(t, s, "ssm", "update-document-default-version", "--name", "greet", "--document-version", "2")
	if got := query(t, s, "Content", "ssm", "get-document", "--name", "greet"); !strings.Contains(got, "goodbye") {
		t.Errorf("the document is %s", got)
	}
	id := query(t, s, "Command.CommandId", "ssm", "send-command", "--document-name", "greet", "--instance-ids", "i-0123456789abcdef0", "--parameters", "name=you")
	waitForDetails(t, s, id, "Success")
}
