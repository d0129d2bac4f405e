//go:build e2e

package host_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

var actRuns sync.Mutex

// withoutOtherAct runs a command while no other act does: act names its containers after workflows and jobs, and removes
// those that have such a name.
func withoutOtherAct(run func() ([]byte, error)) ([]byte, error) {
	actRuns.Lock()
	defer actRuns.Unlock()
	return run()
}

// referrers returns what is attached to an image, by type.
func (r *rehearsal) referrers(image string) map[string]string {
	r.t.Helper()
	digest, err := name.NewDigest(image)
	if err != nil {
		r.t.Fatal(err)
	}
	index, err := remote.Referrers(digest)
	if err != nil {
		r.t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		r.t.Fatal(err)
	}
	found := map[string]string{}
	for _, descriptor := range manifest.Manifests {
		attached, err := remote.Image(digest.Context().Digest(descriptor.Digest.String()))
		if err != nil {
			r.t.Fatal(err)
		}
		layers, err := attached.Layers()
		if err != nil || len(layers) != 1 {
			r.t.Fatal(err, layers)
		}
		content, err := layers[0].Compressed()
		if err != nil {
			r.t.Fatal(err)
		}
		text, err := io.ReadAll(content)
		if err != nil || !json.Valid(text) {
			r.t.Fatalf("%v: %s", err, text)
		}
		found[descriptor.ArtifactType] = string(text)
	}
	return found
}

// forge replaces the image of a release in this clone's tag, and returns what verify-release says.
func (r *rehearsal) forge(version string) (string, error) {
	r.t.Helper()
	command(r.t, r.main, "sed", "--in-place", "s|image: Dockerfile|image: docker://"+r.registry+"/org/atta-deploy-action@sha256:"+strings.Repeat("0", 64)+"|", "action.yml")
	command(r.t, r.main, ".ci/commit_release", version)
	command(r.t, r.main, "git", "tag", "v"+version)
	verify := exec.Command("make", "verify-release")
	verify.Dir = r.main
	verify.Env = append(os.Environ(), "VERSION="+version)
	out, err := verify.CombinedOutput()
	return string(out), err
}

// A release whose action does not deploy moves nothing that consumers use; the next one does.
func TestE2EReleaseWorkflowMovesTheMajorTagOnceItHasDeployed(t *testing.T) {
	t.Parallel()
	r := newRehearsal(t)
	before := r.tagged("v1")
	broken := filepath.Join(r.main, "broken.go")
	if err := os.WriteFile(broken, []byte("package main\n\nimport \"os\"\n\nfunc init() { os.Exit(3) }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.commit("Break the action")
	if failed := r.release("1.0.0"); failed != "try" {
		t.Fatalf("the job that fails is %q\n%s", failed, r.log)
	}
	if r.tagged("v1") != before || r.tagged("v1.0.0~2") != r.tagged("main") {
		t.Errorf("v1 was at %s, is at %s, and main is at %s", before, r.tagged("v1"), r.tagged("main"))
	}

	command(t, r.main, "git", "rm", "--quiet", "broken.go")
	r.commit("Repair the action")
	if failed := r.release("1.0.1"); failed != "" {
		t.Fatalf("the job that fails is %q\n%s", failed, r.log)
	}
	if r.tagged("v1") != r.tagged("v1.0.1") || r.tagged("v1.0.1~2") != r.tagged("main") {
		t.Errorf("v1 is at %s, v1.0.1 at %s, main at %s", r.tagged("v1"), r.tagged("v1.0.1"), r.tagged("main"))
	}
	_, image, _ := strings.Cut(command(t, r.bare, "git", "show", "v1:action.yml"), "\n  image: docker://")
	image, _, _ = strings.Cut(image, "\n")
	if !strings.Contains(r.log, "docker run image="+image) || !strings.Contains(r.log, "atta 0.1.0-dev runs on 1 instance of dev") {
		t.Errorf("the published image, %s, is not what deployed:\n%s", image, r.log)
	}
	_, digest, _ := strings.Cut(image, "@sha256:")
	attached := r.referrers(image)
	for kind, wants := range map[string][]string{
		"application/vnd.cyclonedx+json": {digest, `"pkg:golang/github.com/google/go-containerregistry@v`, `"pkg:golang/stdlib@` + strings.TrimPrefix(runtime.Version(), "go"), `"pkg:oci/busybox@sha256`},
		"application/vnd.in-toto+json":   {digest, `"gitCommit":"` + r.tagged("main") + `"`, "release.yml@refs/heads/main", "actions/runs/1/attempts/1"},
	} {
		for _, want := range wants {
			if !strings.Contains(attached[kind], want) {
				t.Errorf("%s has no %s:\n%s", kind, want, attached[kind])
			}
		}
	}
	if !strings.Contains(r.log, "v1.0.1 is what its sources give") {
		t.Errorf("the release was not verified:\n%s", r.log)
	}
	if log, err := r.forge("1.0.1"); err == nil || !strings.Contains(log, "+  image: docker://"+image) {
		t.Errorf("a tag with another image is verified with %v:\n%s", err, log)
	}
}
