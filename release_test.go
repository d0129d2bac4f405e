package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Whoever pins deploy.yml to the commit of a release runs only what this commit determines, also where an organisation
// demands full commit hashes: https://github.com/bazel-contrib/publish-to-bcr/issues/404
func TestReleasePinsWhatDeployWorkflowUses(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet")
	for _, file := range []string{"action.yml", deployWorkflow, ".ci/commit_release"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, file), readFile(t, file))
	}
	git("add", "--all")
	git("commit", "--quiet", "--message=Begin")
	image := "docker://ghcr.io/org/atta-deploy-action@sha256:" + strings.Repeat("a", 64)
	write(t, filepath.Join(dir, "action.yml"), strings.Replace(readFile(t, "action.yml"), "image: Dockerfile", "image: "+image, 1))
	script := exec.CommandContext(t.Context(), "bash", filepath.Join(dir, ".ci/commit_release"), "1.2.3")
	script.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var released yaml.Node
	if err := yaml.Unmarshal([]byte(git("show", "HEAD:"+deployWorkflow)), &released); err != nil {
		t.Fatal(err)
	}
	action := "org/atta-deploy-action@" + git("rev-parse", "HEAD~")
	counted := 0
	for _, u := range uses(&released) {
		if u.Uses == action {
			counted++
		} else if !pinned.MatchString(u.Uses) {
			t.Errorf("the release uses %s", u.Uses)
		}
	}
	if counted != 4 || !strings.Contains(git("show", "HEAD~:action.yml"), "image: "+image) || git("status", "--porcelain") != "" {
		t.Errorf("%d steps use %s", counted, action)
	}
}
