//go:build e2e

package host_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	hub "github.com/google/go-containerregistry/pkg/registry"

	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/account"
	"github.com/org/atta-deploy-action/localaws/container"
	"github.com/org/atta-deploy-action/localaws/sample"
)

const (
	root = "../.."               // of this repository
	home = "i-0123456789abcdef1" // the instance of the workflows
)

// consumer is a repository that uses the action, with its remote, on a laptop and on GitHub: workflows are run by act,
// with real containers, of the action's own Dockerfile or of the image that it is published as.
type consumer struct {
	guest
	module account.Module // with whose roles, documents and bucket the workflows run
	home   string         // the repository on a laptop
	remote string
	action string // a copy of this one, as act finds it
	images string // the docker saves that the builds give
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=e2e", "GIT_AUTHOR_EMAIL=e2e@example.com", "GIT_COMMITTER_NAME=e2e", "GIT_COMMITTER_EMAIL=e2e@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func newConsumer(t *testing.T) consumer {
	t.Helper()
	c := consumer{module: account.Module{Service: "atta", Environment: "dev"}, home: filepath.Join(t.TempDir(), "atta"), action: filepath.Join(t.TempDir(), "action"), images: t.TempDir()}
	c.guest = bootWith(t, container.Bookworm.Name, cloud.RoleCredentials(c.module.RoleName("instance"), home))
	c.module.Repository, c.module.Bucket = c.name, c.name
	if err := c.module.Create(cloud); err != nil {
		t.Fatal(err)
	}
	cloud.AddInstance(localaws.Instance{ID: home, Name: "workflows", Machine: c.Container, Tags: map[string]string{"Environment": "dev", "Service": "atta"}})
	// The one step that cannot be done here is the build, which pulls its base and needs buildx.
	command(t, root, "git", "clone", "--quiet", ".", c.action)
	command(t, root, "sh", "-c", "git ls-files --cached --others --exclude-standard -z | xargs -0 cp --parents --target-directory="+c.action)
	c.replace(filepath.Join(c.action, ".github/workflows/deploy.yml"),
		"          builder=$(docker buildx create --driver-opt \"image=$BUILDKIT\")\n          trap 'docker buildx rm --force \"$builder\" || true' EXIT # or a self-hosted runner would keep it, with its cache\n"+
			"          docker buildx build --builder \"$builder\" \"${args[@]}\" -- \"$CONTEXT\"\n",
		"          cp \"/images/$GITHUB_REF_NAME.tar\" image.tar # in place of the build\n")
	// act does not know queue: https://github.com/nektos/act/blob/v0.2.89/pkg/schema/workflow_schema.json
	command(t, c.action, "sed", "--in-place", "/^ *queue: max$/d", ".github/workflows/deploy.yml")
	replaceBases(t, filepath.Join(c.action, "Dockerfile"))
	command(t, c.action, "git", "add", "--all")
	command(t, c.action, "git", "commit", "--quiet", "--allow-empty", "--message=As it is here")
	command(t, c.action, "git", "tag", "--force", "v1")

	c.remote = filepath.Join(t.TempDir(), "atta.git")
	command(t, ".", "git", "init", "--quiet", "--bare", c.remote)
	command(t, ".", "cp", "--archive", filepath.Join(root, "examples/batch"), c.home)
	command(t, c.home, "sed", "--in-place", "/^ *queue: max$/d", ".github/workflows/rollback.yml")
	command(t, c.home, "git", "init", "--quiet", "--initial-branch=dev")
	command(t, c.home, "git", "add", "--all")
	command(t, c.home, "git", "commit", "--quiet", "--message=Begin")
	command(t, c.home, "git", "remote", "add", "origin", c.remote)
	command(t, c.home, "git", "push", "--quiet", "--set-upstream", "origin", "dev")
	return c
}

// publish releases the action, to a registry of strangers and under the tag that consumers use, and returns its image.
func (c consumer) publish() (image string) {
	c.t.Helper()
	debian, err := images[container.Bookworm.Name]()
	if err != nil {
		c.t.Fatal(err)
	}
	base := filepath.Join(c.t.TempDir(), "base.tar") // nothing is pulled
	command(c.t, ".", "docker", "save", "--output", base, debian)
	server := httptest.NewServer(hub.New(hub.Logger(log.New(io.Discard, "", 0))))
	c.t.Cleanup(server.Close)
	command(c.t, c.action, "sh", "-c", `printf '\n## 999.0.0\n' >>CHANGELOG.md`)
	command(c.t, c.action, "git", "commit", "--quiet", "--all", "--message=What is new")
	command(c.t, c.action, "env", "CGO_ENABLED=0", "go", "run", "-trimpath", "./tools/publish", "-version=999.0.0", "-base="+base, "-platforms=linux/"+runtime.GOARCH,
		"-repository="+strings.TrimPrefix(server.URL, "http://")+"/org/atta-deploy-action")
	command(c.t, c.action, "git", "commit", "--quiet", "--message=Release", "action.yml")
	command(c.t, c.action, "git", "tag", "--force", "v1")
	image = strings.TrimSpace(command(c.t, c.action, "sed", "--quiet", "s|^  image: docker://||p", "action.yml"))
	command(c.t, ".", "docker", "pull", "--quiet", image)
	c.t.Cleanup(func() { command(c.t, ".", "docker", "image", "rm", "--force", image) })
	return image
}

func (c consumer) replace(file, old, text string) {
	c.t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		c.t.Fatal(err)
	}
	if bytes.Count(content, []byte(old)) != 1 {
		c.t.Fatalf("%s does not hold once:\n%s", file, old)
	}
	if err := os.WriteFile(file, bytes.Replace(content, []byte(old), []byte(text), 1), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// release is a laptop's make deploy-dev. It returns the tag.
func (c consumer) release() string {
	c.t.Helper()
	command(c.t, c.home, "git", "commit", "--quiet", "--allow-empty", "--message=Change")
	command(c.t, c.home, "make", "deploy-dev", "YES=1")
	tag := strings.TrimSpace(command(c.t, c.home, "git", "describe", "--exact-match"))
	c.save(tag, sample.WithVersion(tag))
	return tag
}

// save makes the image that a build of the tag gives.
func (c consumer) save(tag string, option sample.Option) {
	c.t.Helper()
	image, err := sample.NewImage(program, option)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := sample.SaveDockerArchive(filepath.Join(c.images, tag+".tar"), image, "atta:"+tag); err != nil {
		c.t.Fatal(err)
	}
}

// deploys releases the version and runs its workflow, whose summaries say this. It returns the log.
func (c consumer) deploys(version string, summaries ...string) string {
	c.t.Helper()
	if tag := c.release(); tag != version {
		c.t.Fatalf("the tag is %s, want %s", tag, version)
	}
	log, err := c.run(version, "push", "deploy-dev.yml", map[string]any{"ref": "refs/tags/" + version})
	if err != nil {
		c.t.Fatalf("%v\n%s", err, log)
	}
	for _, summary := range summaries {
		if !strings.Contains(log, "Summary - ## "+summary) {
			c.t.Errorf("no summary says %q:\n%s", summary, log)
		}
	}
	c.want("cat /opt/atta/output/greeting.txt", "hello from "+version)
	c.want("readlink /opt/atta/current", "releases/"+version)
	return log
}

// run is what GitHub does with an event: it checks the branch or tag out and runs the workflow.
func (c consumer) run(ref, event, workflow string, payload map[string]any) (string, error) {
	c.t.Helper()
	content, err := json.Marshal(payload)
	if err != nil {
		c.t.Fatal(err)
	}
	file := filepath.Join(c.t.TempDir(), "event.json")
	if err := os.WriteFile(file, content, 0o644); err != nil {
		c.t.Fatal(err)
	}
	debian, err := images[container.Bookworm.Name]()
	if err != nil {
		c.t.Fatal(err)
	}
	bin, err := filepath.Abs(filepath.Join(root, ".cache/bin/act"))
	if err != nil {
		c.t.Fatal(err)
	}
	checkout := filepath.Join(c.t.TempDir(), "atta")
	command(c.t, ".", "git", "clone", "--quiet", "--branch", ref, c.remote, checkout)
	command(c.t, checkout, "git", "remote", "add", "github", "https://github.com/org/atta.git") // where act reads the repository's name
	args := []string{
		event, "--workflows", ".github/workflows/" + workflow, "--eventpath", file, "--platform", "ubuntu-latest=" + debian,
		"--pull=false", "--action-offline-mode", "--no-cache-server", "--network", "bridge", "--bind", "--remote-name", "github",
		"--local-repository", "org/atta-deploy-action@v1=" + c.action, "--container-options", "--volume=" + c.images + ":/images:ro",
		"--env", "AWS_ENDPOINT_URL=" + cloud.URL(),
	}
	for _, entry := range cloud.OIDCEnv() {
		args = append(args, "--env", entry)
	}
	roleARN := func(operation string) string { return "arn:aws:iam::123456789012:role/" + c.module.RoleName(operation) }
	for name, value := range map[string]string{
		"AWS_REGION": "us-east-1", "ECR_REGISTRY": cloud.RegistryHost(), "ECR_REPOSITORY": c.name, "DEPLOY_BUCKET": c.name, "EC2_INSTANCE_ID": home,
		"AWS_ROLE_ARN": roleARN("deploy"), "AWS_ROLLBACK_ROLE_ARN": roleARN("rollback"), "AWS_STATUS_ROLE_ARN": roleARN("status"),
		"SSM_DOCUMENT": c.module.DocumentName("deploy"), "SSM_ROLLBACK_DOCUMENT": c.module.DocumentName("rollback"), "SSM_STATUS_DOCUMENT": c.module.DocumentName("status"),
	} {
		args = append(args, "--var", name+"="+value)
	}
	act := exec.Command(bin, args...)
	act.Dir = checkout
	act.Env = append(os.Environ(), "HOME="+c.t.TempDir(), "XDG_CACHE_HOME="+c.t.TempDir())
	out, err := withoutOtherAct(act.CombinedOutput)
	return string(out), err
}

// quarantine makes the image of a version one that was found unhealthy.
func (c consumer) quarantine(version string) {
	c.t.Helper()
	const key = "deployments/dev/atta/current.json"
	content, _ := cloud.Object(c.name, key)
	var current lease.Current
	if err := json.Unmarshal(content, &current); err != nil || current.Version != version {
		c.t.Fatalf("%v, the current version is %q", err, current.Version)
	}
	current.Quarantined = []lease.Quarantine{{Digest: current.Digest, Version: version, Deployment: current.Deployment, Since: time.Now().UTC()}}
	content, err := json.Marshal(current)
	if err != nil {
		c.t.Fatal(err)
	}
	c.put(key, content)
}

// The way in and the way back, from make deploy-dev to a rollback button: first in one job, then in three.
func TestE2EWorkflowsFromALaptopToTheInstance(t *testing.T) {
	t.Parallel()
	c := newConsumer(t)
	c.deploys("0.1.0-dev", "✅ atta 0.1.0-dev runs on 1 instance of dev")

	// An ordinary Dockerfile gives another image when it is built again.
	c.save("0.1.0-dev", sample.WithVersion("built again"))
	c.quarantine("0.1.0-dev")
	inputs := map[string]any{"ref": "refs/tags/0.1.0-dev", "inputs": map[string]string{"allow-quarantined": "true"}}
	if log, err := c.run("0.1.0-dev", "workflow_dispatch", "deploy-dev.yml", inputs); err != nil || !strings.Contains(log, "A quarantined image is deployed") {
		t.Fatalf("%v\n%s", err, log)
	}
	c.want("cat /opt/atta/output/greeting.txt", "hello from 0.1.0-dev")

	published := c.publish()
	c.replace(filepath.Join(c.home, ".github/workflows/deploy-dev.yml"), "      environment: dev\n", "      environment: dev\n      separate-jobs: true\n")
	command(t, c.home, "git", "commit", "--quiet", "--all", "--message=Deploy in three jobs")
	log := c.deploys("0.1.1-dev", "✅ The image of atta 0.1.1-dev", "✅ The bundle of atta 0.1.1-dev", "✅ atta 0.1.1-dev runs on 1 instance of dev")
	if strings.Count(log, "docker run image="+published) < 3 {
		t.Errorf("the published image is not what runs:\n%s", log)
	}

	var err error
	log, err = c.run("dev", "workflow_dispatch", "rollback.yml", map[string]any{"inputs": map[string]string{"environment": "dev", "version": "", "dry-run": "false"}})
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	c.want("readlink /opt/atta/current", "releases/0.1.0-dev")
	log, err = c.run("dev", "workflow_dispatch", "status.yml", map[string]any{"inputs": map[string]string{"environment": "dev"}})
	if err != nil || !strings.Contains(log, "in-sync: runs 0.1.0-dev") {
		t.Fatalf("%v\n%s", err, log)
	}
}
