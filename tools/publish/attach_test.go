package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// attached decodes what is attached to an image, by type.
func attached(t *testing.T, uri string) map[string]map[string]any {
	t.Helper()
	image := must(name.NewDigest(uri))
	found := map[string]map[string]any{}
	for _, descriptor := range must(must(remote.Referrers(image)).IndexManifest()).Manifests {
		layers := must(must(remote.Image(image.Context().Digest(descriptor.Digest.String()))).Layers())
		var content map[string]any
		if err := json.Unmarshal(must(io.ReadAll(must(layers[0].Compressed()))), &content); err != nil {
			t.Fatal(err)
		}
		found[descriptor.ArtifactType] = content
	}
	return found
}

// get returns the value at a path of names and indexes.
func get(content any, path ...any) any {
	for _, step := range path {
		switch at := step.(type) {
		case string:
			content = content.(map[string]any)[at]
		case int:
			content = content.([]any)[at]
		}
	}
	return content
}

// commitAll makes the repository one of git.
func commitAll(t *testing.T, p publication) (commit string) {
	t.Helper()
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", p.root, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.WriteFile(filepath.Join(p.root, ".gitignore"), []byte(".cache\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git("init", "--quiet")
	git("add", "--all")
	git("commit", "--quiet", "--message=Begin")
	return git("rev-parse", "HEAD")
}

// workflowRun are the variables of a run of release.yml.
var workflowRun = []string{
	"GITHUB_SERVER_URL=https://github.com", "GITHUB_REPOSITORY=org/action", "GITHUB_RUN_ID=7", "GITHUB_RUN_ATTEMPT=2",
	"GITHUB_WORKFLOW_REF=org/action/.github/workflows/release.yml@refs/heads/main",
}

func TestPublishAttachesAnSBOMAndTheProvenance(t *testing.T) {
	p := repositoryOf(t)
	p.base = pinnedBase(p)
	commit := commitAll(t, p)
	p.builder = builderOf(workflowRun)
	uri, err := p.publishImage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, digest, _ := strings.Cut(uri, "@sha256:")
	_, base, _ := strings.Cut(p.base, "@sha256:")
	found := attached(t, uri)

	sbom := found["application/vnd.cyclonedx+json"]
	if get(sbom, "bomFormat") != "CycloneDX" || get(sbom, "metadata", "component", "version") != "sha256:"+digest {
		t.Errorf("the SBOM is %v", sbom)
	}
	var names []string
	for _, c := range get(sbom, "components").([]any) {
		names = append(names, get(c, "name").(string))
	}
	if diff := cmp.Diff([]string{"stdlib", strings.Split(p.base, "@")[0]}, names); diff != "" {
		t.Error(diff)
	}

	provenance := found["application/vnd.in-toto+json"]
	for _, want := range []struct {
		value string
		path  []any
	}{
		{"https://in-toto.io/Statement/v1", []any{"_type"}},
		{digest, []any{"subject", 0, "digest", "sha256"}},
		{"https://slsa.dev/provenance/v1", []any{"predicateType"}},
		{"1.2.3", []any{"predicate", "buildDefinition", "externalParameters", "version"}},
		{commit, []any{"predicate", "buildDefinition", "resolvedDependencies", 0, "digest", "gitCommit"}},
		{base, []any{"predicate", "buildDefinition", "resolvedDependencies", 1, "digest", "sha256"}},
		{"https://github.com/org/action/.github/workflows/release.yml@refs/heads/main", []any{"predicate", "runDetails", "builder", "id"}},
		{"https://github.com/org/action/actions/runs/7/attempts/2", []any{"predicate", "runDetails", "metadata", "invocationId"}},
	} {
		if got := get(provenance, want.path...); got != want.value {
			t.Errorf("%v is %v, want %s", want.path, got, want.value)
		}
	}
	// action.yml names the image now, and so is not that of the commit.
	if _, err := p.publishImage(t.Context()); err == nil || !strings.Contains(err.Error(), "M action.yml") {
		t.Errorf("provenance of files that are not in the commit: %v", err)
	}
}

// pinnedBase returns the base by digest.
func pinnedBase(p publication) string {
	base := must(name.ParseReference(p.base))
	return base.Context().Digest(must(remote.Head(base)).Digest.String()).Name()
}

func TestSBOMListsTheModulesOfThePrograms(t *testing.T) {
	folder := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(folder, "amd64", program), ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := publication{platforms: []string{"linux/amd64"}}
	s, err := p.newSBOM(must(name.NewDigest("ghcr.io/org/action@sha256:"+strings.Repeat("a", 64))), "base.tar", folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pkg:golang/github.com/masterminds/semver/v3@v", "pkg:golang/github.com/google/go-containerregistry@v", "pkg:golang/stdlib@1."} {
		if !slices.ContainsFunc(s.Components, func(c component) bool { return strings.HasPrefix(c.PURL, want) }) {
			t.Errorf("there is no %s in %v", want, s.Components)
		}
	}
	want := "pkg:oci/action@sha256%3A" + strings.Repeat("a", 64) + "?repository_url=ghcr.io%2Forg%2Faction"
	if got := s.Metadata.Component.PURL; got != want {
		t.Errorf("the image is %s, want %s", got, want)
	}
}

// Whoever verifies a release builds its image without pushing it.
func TestDryRunGivesTheSameImageAndPushesNothing(t *testing.T) {
	p := repositoryOf(t)
	p.dryRun = true
	built, err := p.publishImage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Head(must(name.ParseReference(built))); err == nil {
		t.Errorf("%s was pushed", built)
	}
	if text := string(must(os.ReadFile(filepath.Join(p.root, "action.yml")))); !strings.Contains(text, "image: docker://"+built+"\n") {
		t.Errorf("action.yml is\n%s", text)
	}
	p.dryRun = false
	t.Setenv("GOAMD64", "v3") // which would make another program
	if pushed, err := p.publishImage(t.Context()); err != nil || pushed != built {
		t.Errorf("published %s, %v, want %s", pushed, err, built)
	}
}

func TestBaseIsThatOfTheDockerfileAndPinned(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("a", 64)
	for dockerfile, want := range map[string]string{
		"FROM golang:1" + digest + " AS build\nFROM busybox:1.37" + digest + "\nUSER 0:0\n": "index.docker.io/library/busybox" + digest,
		"FROM busybox:1.37\n":                   `base image "busybox:1.37" of the Dockerfile is not pinned by digest`,
		"FROM busybox" + digest + " AS build\n": "the Dockerfile has no last stage",
	} {
		p := publication{root: t.TempDir()}
		if err := os.WriteFile(filepath.Join(p.root, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := p.baseImage(); got != want && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("base %q, error %v, want %s", got, err, want)
		}
	}
	if _, err := (publication{root: "../.."}).baseImage(); err != nil {
		t.Error(err)
	}
}
