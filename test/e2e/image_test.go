package e2e

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// reference names an image of the registry, and how to log in to it.
func (s *stage) reference(tag string) (name.Reference, remote.Option) {
	s.t.Helper()
	reference, err := name.ParseReference(s.aws.RegistryHost() + "/atta:" + tag)
	if err != nil {
		s.t.Fatal(err)
	}
	return reference, remote.WithAuth(image.Login(ecr.NewFromConfig(s.aws.Config())))
}

// tag is the digest that the tag names in the registry; empty: none.
func (s *stage) tag(tag string) string {
	s.t.Helper()
	reference, login := s.reference(tag)
	found, err := remote.Head(reference, login)
	if err != nil {
		return ""
	}
	return found.Digest.String()
}

// pushed is an image of the registry, every byte of it checked.
func (s *stage) pushed(tag string) v1.Image {
	s.t.Helper()
	reference, login := s.reference(tag)
	found, err := remote.Image(reference, login)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := validate.Image(found); err != nil {
		s.t.Errorf("the pushed image is not valid: %v", err)
	}
	return found
}

func TestDockerSaveTarKeepsItsImageID(t *testing.T) {
	s := play(t)
	built := s.sample("0.1.0-dev")
	if err := sample.SaveDockerArchive(filepath.Join(s.workspace, "image.tar"), built, "atta:1"); err != nil {
		t.Fatal(err)
	}
	out := s.run("phases=image")
	out.wants("success")
	if s.tag("0.1.0-dev") != out.outputs["image-digest"] {
		t.Errorf("the tag is %s, the output is %s", s.tag("0.1.0-dev"), out.outputs["image-digest"])
	}
	want, _ := built.ConfigName()
	if got, err := s.pushed("0.1.0-dev").ConfigName(); err != nil || got != want {
		t.Errorf("the image id was %s and is %s, %v", want, got, err)
	}
}

func TestLayersOfEarlierReleasesAreReused(t *testing.T) {
	s := play(t)
	deploy := func(version string, layer v1.Layer, opts ...sample.Option) outcome {
		built, err := mutate.AppendLayers(s.sample(version, opts...), layer)
		if err != nil {
			t.Fatal(err)
		}
		if err := sample.SaveDockerArchive(filepath.Join(s.workspace, "image.tar"), built, "atta:1"); err != nil {
			t.Fatal(err)
		}
		return s.run("version="+version, "image-tags=none")
	}
	var layers []v1.Layer
	for range 3 {
		layer, err := random.Layer(3<<20, types.DockerLayer)
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, layer)
	}
	for _, step := range []struct {
		version string
		layer   int
		status  string
		sent    string
	}{
		{"0.1.0-dev", 0, "success", ": 8 MB sent"}, // the program besides
		{"0.1.1-dev", 1, "success", ": 3 MB sent"},
		{"0.1.2-dev", 0, "success", ": 0 MB sent"},
		{"0.1.3-dev", 2, "rolled-back", ": 3 MB sent"},
		{"0.1.4-dev", 2, "success", ": 3 MB sent"}, // nothing is learned from an image that was not healthy
	} {
		var opts []sample.Option
		if step.status == "rolled-back" {
			opts = append(opts, s.failing(step.version))
		}
		out := deploy(step.version, layers[step.layer], opts...)
		out.wants(step.status)
		if !strings.Contains(out.log, " as "+step.version+step.sent) {
			t.Errorf("not %q:\n%s", step.sent, out.log)
		}
	}
}

func TestOCIImageKeepsItsDigest(t *testing.T) {
	for kind, save := range map[string]func(path string, built v1.Image) error{
		"archive": func(path string, built v1.Image) error { return sample.SaveOCIArchive(path, built) },
		"folder":  func(path string, built v1.Image) error { return sample.SaveLayout(path, built) },
	} {
		t.Run(kind, func(t *testing.T) {
			s := play(t)
			built := s.sample("0.1.0-dev")
			if err := save(filepath.Join(s.workspace, "image"), built); err != nil {
				t.Fatal(err)
			}
			out := s.run("phases=image", "image=image")
			out.wants("success")
			want, _ := built.Digest()
			if got, err := s.pushed("0.1.0-dev").Digest(); err != nil || got != want || out.outputs["image-digest"] != want.String() {
				t.Errorf("the digest was %s, is %s, and the output is %s, %v", want, got, out.outputs["image-digest"], err)
			}
		})
	}
}

func TestIndexKeepsAllPlatforms(t *testing.T) {
	s := playWithScripts(t)
	built, err := sample.NewIndex(s.sample("0.1.0-dev", sample.WithArchitecture("amd64")), s.sample("0.1.0-dev", sample.WithArchitecture("arm64")))
	if err != nil {
		t.Fatal(err)
	}
	if err := sample.SaveOCIArchive(filepath.Join(s.workspace, "image.tar"), built); err != nil {
		t.Fatal(err)
	}
	out := s.run()
	out.wants("success")

	reference, login := s.reference("0.1.0-dev")
	found, err := remote.Index(reference, login)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(found); err != nil {
		t.Errorf("the pushed index is not valid: %v", err)
	}
	want, _ := built.Digest()
	if got, err := found.Digest(); err != nil || got != want || out.outputs["image-digest"] != want.String() {
		t.Errorf("the digest was %s, is %s, and the output is %s, %v", want, got, out.outputs["image-digest"], err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		part, err := remote.Image(reference, login, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(part); err != nil {
			t.Errorf("the image for %s is not valid: %v", arch, err)
		}
	}
	s.wantRuns("0.1.0-dev")
}

// No step of these tests finds a program on its PATH or a daemon at its DOCKER_HOST;
// here there is not even a folder to look in.
func TestPushNeedsNoDocker(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	s.run("phases=image", "DOCKER_HOST=unix:///nowhere/docker.sock", "PATH=/nowhere").wants("success")
	s.pushed("0.1.0-dev")
}

// The image that was verified in one environment is the same in the next: its layers are copied as they are.
func TestPromotedImageKeepsItsDigest(t *testing.T) {
	s := play(t)
	verified := s.deployed("0.1.0-dev").outputs["image-uri"]
	s.aws.CreateRepository("atta-staging", "IMMUTABLE")
	out := s.run("environment=staging", "version=0.1.0-staging", "phases=image", "ecr-repository=atta-staging", "image="+verified)
	out.wants("success")
	_, digest, _ := strings.Cut(verified, "@")
	if out.outputs["image-digest"] != digest || !strings.Contains(out.summary, "| Source | `"+verified+"` |") {
		t.Errorf("%q\n%s", out.outputs, out.summary)
	}
}

// ECR closes the connection when an upload starts without ecr:InitiateLayerUpload.
func TestPushWithoutThePermissionToUploadNamesIt(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	s.aws.AddFault(localaws.Fault{Operation: "registry:POST blob", HangUp: true})
	out := s.run("phases=image")
	out.wants("failed")
	out.says("the registry closes the connection when an upload starts", "grant ecr:InitiateLayerUpload", "create-repository: true")
}

// A repository that is made has tags that stay, but for those that are to move.
func TestRepositoryIsCreatedOnRequest(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	out := s.run("phases=image", "ecr-repository=team/new")
	out.wants("failed")
	out.says("the repository does not exist", "or set create-repository: true")

	want := []string{"phases=image", "ecr-repository=team/new", "create-repository=true", "image-tags=latest-dev,stable"}
	if out := s.run(append(want, "dry-run=true")...); out.outputs["status"] != "planned" {
		t.Errorf("a plan says %q", out.outputs)
	}
	api := ecr.NewFromConfig(s.aws.Config())
	describe := &ecr.DescribeRepositoriesInput{RepositoryNames: []string{"team/new"}}
	if out, err := api.DescribeRepositories(t.Context(), describe); err == nil {
		t.Fatalf("a plan created %v", out.Repositories)
	}
	out = s.run(want...)
	out.wants("success")
	if !strings.Contains(out.log, "Repository created::ECR had no "+s.aws.RegistryHost()+"/team/new") {
		t.Errorf("it says nothing of it:\n%s", out.log)
	}
	made, err := api.DescribeRepositories(t.Context(), describe)
	if err != nil {
		t.Fatal(err)
	}
	var moving []string
	for _, filter := range made.Repositories[0].ImageTagMutabilityExclusionFilters {
		moving = append(moving, *filter.Filter)
	}
	if have := made.Repositories[0].ImageTagMutability; have != "IMMUTABLE_WITH_EXCLUSION" || strings.Join(moving, " ") != "latest-* stable" {
		t.Errorf("it is %s, but for %q", have, moving)
	}
	s.build("0.1.1-dev")
	out = s.run(append(want, "version=0.1.1-dev")...)
	out.wants("success")
	if strings.Contains(out.log, "Repository created") {
		t.Errorf("it was created again:\n%s", out.log)
	}
}

// An image is made of files with nothing else, and runs.
func TestDeployOfImageBuiltFromFiles(t *testing.T) {
	s := play(t)
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	s.file("bin/app", string(binary))
	made := []string{
		"version=0.1.0-dev", "image=scratch", "image-files=bin/app:/app/app:0755", `image-entrypoint=["/app/app"]`, "image-workdir=/app",
		"image-env=VERSION=0.1.0-dev\nGREETING=good day", "image-platforms=linux/" + runtime.GOARCH,
	}
	out := s.run(made...)
	out.wants("success")
	if !strings.Contains(out.log, "image: files on scratch, linux/"+runtime.GOARCH) {
		t.Errorf("the log is\n%s", out.log)
	}
	again := s.run(made...)
	again.wants("success")
	if again.outputs["image-digest"] != out.outputs["image-digest"] || again.outputs["image-pushed"] != "false" {
		t.Errorf("the same files again are %q", again.outputs)
	}

	made[2] = "image-files=bin/app:/app/app\nbin/none:/none"
	out = s.run(append(made, "version=0.1.1-dev")...)
	out.wants("failed")
	out.says("bin/app is the image's program, /app/app, but is not executable", "bin/none: no such file or directory", "Paths are relative to the workspace")
}
