package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// repositoryOf writes a repository with a small program, and pushes a base image for more platforms than are wanted.
func repositoryOf(t *testing.T) publication {
	t.Helper()
	hub := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut && strings.HasPrefix(r.URL.Path, "/v2/org/private/manifests/sha256:") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		hub.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, platform := range []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64", Variant: "v8"}, {OS: "linux", Architecture: "386"}} {
		base := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
		base = must(mutate.ConfigFile(base, &v1.ConfigFile{OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant, RootFS: v1.RootFS{Type: "layers"}}))
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: base, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	base := host + "/busybox:1"
	if err := remote.WriteIndex(must(name.ParseReference(base)), index); err != nil {
		t.Fatal(err)
	}
	p := publication{version: "1.2.3", repository: host + "/org/action", base: base, platforms: []string{"linux/amd64", "linux/arm64"}, root: t.TempDir()}
	for file, text := range map[string]string{
		"go.mod": "module example.com/action\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() {}\n",
		"CHANGELOG.md": "# Changelog\n\n## 1.2.3\n", "action.yml": "runs:\n  using: docker\n  image: Dockerfile\n  entrypoint: /atta-deploy-action\n",
	} {
		if err := os.WriteFile(filepath.Join(p.root, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestPublishBuildsAnImageForEachPlatformAndPinsItInActionYML(t *testing.T) {
	p := repositoryOf(t)
	uri, err := p.publishImage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := string(must(os.ReadFile(filepath.Join(p.root, "action.yml"))))
	if want := "runs:\n  using: docker\n  image: docker://" + uri + "\n  entrypoint: /atta-deploy-action\n"; text != want {
		t.Errorf("action.yml is\n%s", text)
	}
	index := must(remote.Index(must(name.ParseReference(uri))))
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	var platforms []string
	for _, desc := range must(index.IndexManifest()).Manifests {
		platforms = append(platforms, desc.Platform.String())
		config := must(must(index.Image(desc.Digest)).ConfigFile()).Config
		if diff := cmp.Diff([]string{"/atta-deploy-action"}, config.Entrypoint); diff != "" || config.User != "0:0" || config.Labels["org.opencontainers.image.version"] != "1.2.3" {
			t.Errorf("config is %+v", config)
		}
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64/v8"}, platforms); diff != "" {
		t.Error(diff)
	}
	if again, err := p.publishImage(t.Context()); err != nil || again != uri {
		t.Errorf("the same again is %s, %v", again, err)
	}

	if err := os.WriteFile(filepath.Join(p.root, "main.go"), []byte("package main\n\nfunc main() { println() }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.publishImage(t.Context()); err == nil || !strings.Contains(err.Error(), "already names sha256:") {
		t.Errorf("another program under the same version: %v", err)
	}
	p.repository = strings.TrimSuffix(p.repository, "action") + "private"
	if _, err := p.publishImage(t.Context()); err == nil || !strings.Contains(err.Error(), "make the package public") {
		t.Errorf("an image that cannot be pulled without a login: %v", err)
	}
	if now := string(must(os.ReadFile(filepath.Join(p.root, "action.yml")))); now != text {
		t.Errorf("action.yml is\n%s", now)
	}
}

func TestPublishReportsEveryProblemAtOnce(t *testing.T) {
	p := repositoryOf(t)
	p.version, p.repository = "1.2.3-rc1", "org/action"
	_, err := p.publishImage(t.Context())
	for _, want := range []string{`"1.2.3-rc1" is not MAJOR.MINOR.PATCH`, "no heading ## 1.2.3-rc1", "org/action"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
	p = repositoryOf(t)
	if err := os.WriteFile(filepath.Join(p.root, "main.go"), []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.publishImage(t.Context()); err == nil || !strings.Contains(err.Error(), "build for linux/amd64") || !strings.Contains(err.Error(), "main.go") {
		t.Errorf("error is %v", err)
	}
}
