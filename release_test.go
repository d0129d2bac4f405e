package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// releaseRepository has the files that a release changes, and a remote.
type releaseRepository struct {
	t   *testing.T
	dir string
}

func newReleaseRepository(t *testing.T) releaseRepository {
	t.Helper()
	r := releaseRepository{t, t.TempDir()}
	r.git("init", "--quiet", "--initial-branch=main")
	for _, file := range []string{"action.yml", deployWorkflow, ".ci/commit_release", ".ci/move_major"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(r.dir, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(r.dir, file), readFile(t, file))
	}
	r.git("add", "--all")
	r.git("commit", "--quiet", "--message=Begin")
	remote := t.TempDir()
	r.git("init", "--quiet", "--bare", remote)
	r.git("remote", "add", "origin", remote)
	return r
}

func (r releaseRepository) git(args ...string) string {
	r.t.Helper()
	return r.run("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
}

func (r releaseRepository) run(name string, args ...string) string {
	r.t.Helper()
	command := exec.CommandContext(r.t.Context(), name, args...)
	command.Dir = r.dir
	out, err := command.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

const releasedImage = "docker://ghcr.io/org/atta-deploy-action@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// release commits a release on top of main, and returns its commit.
func (r releaseRepository) release(version string) string {
	r.t.Helper()
	r.git("checkout", "--quiet", "--detach", "main")
	write(r.t, filepath.Join(r.dir, "action.yml"), strings.Replace(readFile(r.t, "action.yml"), "image: Dockerfile", "image: "+releasedImage, 1))
	r.run("bash", ".ci/commit_release", version)
	return r.git("rev-parse", "HEAD")
}

// Whoever pins deploy.yml to the commit of a release runs only what this commit determines, also where an organisation
// demands full commit hashes: https://github.com/bazel-contrib/publish-to-bcr/issues/404
func TestReleasePinsWhatDeployWorkflowUses(t *testing.T) {
	r := newReleaseRepository(t)
	r.release("1.2.3")
	var released yaml.Node
	if err := yaml.Unmarshal([]byte(r.git("show", "HEAD:"+deployWorkflow)), &released); err != nil {
		t.Fatal(err)
	}
	action := "org/atta-deploy-action@" + r.git("rev-parse", "HEAD~")
	counted := 0
	for _, u := range uses(&released) {
		if u.Uses == action {
			counted++
		} else if !pinned.MatchString(u.Uses) {
			t.Errorf("the release uses %s", u.Uses)
		}
	}
	if counted != 4 || !strings.Contains(r.git("show", "HEAD~:action.yml"), "image: "+releasedImage) || r.git("status", "--porcelain") != "" {
		t.Errorf("%d steps use %s", counted, action)
	}
}

// So a tag can be verified by making it again, and a second attempt of a release pushes the same tag.
func TestReleaseOfTheSameSourcesIsTheSameCommit(t *testing.T) {
	r := newReleaseRepository(t)
	first := r.release("1.2.3")
	t.Setenv("GIT_COMMITTER_NAME", "somebody else")
	t.Setenv("GIT_AUTHOR_DATE", "2001-01-01T00:00:00Z")
	if second := r.release("1.2.3"); second != first {
		t.Errorf("released %s, then %s", first, second)
	}
	if other := r.release("1.2.4"); other == first {
		t.Errorf("two versions are %s", other)
	}
}

func TestVerifyReleaseLeavesNoFolderBehindWithoutTheTag(t *testing.T) {
	folder := t.TempDir()
	verify := exec.CommandContext(t.Context(), "bash", ".ci/verify_release", "0.0.0")
	verify.Env = append(os.Environ(), "TMPDIR="+folder)
	out, err := verify.CombinedOutput()
	if left, readErr := os.ReadDir(folder); err == nil || readErr != nil || len(left) > 0 {
		t.Errorf("%v, %v: %v is left\n%s", err, readErr, left, out)
	}
}

func TestMajorTagMovesToTheNewestReleaseOnly(t *testing.T) {
	r := newReleaseRepository(t)
	for _, step := range []struct{ version, major, want string }{
		{"1.9.0", "v1", "v1.9.0"},
		{"1.10.0", "v1", "v1.10.0"},
		{"1.9.1", "v1", "v1.10.0"}, // a fix of an older version
		{"2.0.0", "v2", "v2.0.0"},
		{"1.10.1", "v1", "v1.10.1"},
	} {
		r.release(step.version)
		r.git("push", "--quiet", "origin", "HEAD:refs/tags/v"+step.version)
		r.run("bash", ".ci/move_major", step.version)
		moved, _, _ := strings.Cut(r.git("ls-remote", "origin", "refs/tags/"+step.major), "\t")
		if want, _, _ := strings.Cut(r.git("ls-remote", "origin", "refs/tags/"+step.want), "\t"); moved != want {
			t.Errorf("after %s, %s is %s, want %s of %s", step.version, step.major, moved, want, step.want)
		}
	}
}
