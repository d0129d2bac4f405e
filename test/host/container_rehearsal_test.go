//go:build e2e

package host_test

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	hub "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.yaml.in/yaml/v3"
)

// gitToken is what the remote of a rehearsal wants for a push.
const gitToken = "a token of the job"

// rehearsal is a release on this machine: release.yml is run with a registry and a bare remote in place of GitHub's.
type rehearsal struct {
	t        *testing.T
	main     string // a clone whose main is released
	remote   string // of git
	bare     string // its folder
	registry string
	log      string // of the jobs
}

func newRehearsal(t *testing.T) *rehearsal {
	t.Helper()
	dir := t.TempDir()
	r := &rehearsal{t: t, main: filepath.Join(dir, "main"), bare: filepath.Join(dir, "remotes", "org", "atta-deploy-action")}
	registry := httptest.NewServer(hub.New(hub.Logger(log.New(io.Discard, "", 0)))) // without the API for referrers, as GitHub's
	t.Cleanup(registry.Close)
	r.registry = strings.TrimPrefix(registry.URL, "http://")
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(command(t, ".", "git", "--exec-path")), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Join(dir, "remotes"), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=release"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		push := strings.Contains(request.URL.RawQuery, "receive-pack") || strings.Contains(request.URL.Path, "receive-pack")
		if _, password, _ := request.BasicAuth(); push && password != gitToken {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)
	r.remote = server.URL

	command(t, ".", "git", "init", "--quiet", "--bare", "--initial-branch=main", r.bare)
	command(t, root, "git", "clone", "--quiet", "--no-tags", ".", r.main)
	command(t, root, "sh", "-c", "git ls-files --cached --others --exclude-standard -z | xargs -0 cp --parents --no-dereference --target-directory="+r.main)
	command(t, r.main, "sed", "--in-place", "s|^FROM busybox.*|FROM "+r.pushBase()+"|", "Dockerfile") // nothing is pulled
	command(t, r.main, "sh", "-c", `printf '\n## 1.0.1\n\n## 1.0.0\n' >>CHANGELOG.md`)
	r.commit("As it is here")
	command(t, r.main, "git", "push", "--quiet", r.bare, "HEAD:refs/tags/v1")
	return r
}

// commit commits everything and pushes main.
func (r *rehearsal) commit(message string) {
	r.t.Helper()
	command(r.t, r.main, "git", "add", "--all")
	command(r.t, r.main, "git", "commit", "--quiet", "--message="+message)
	command(r.t, r.main, "git", "push", "--quiet", r.bare, "HEAD:main")
}

// pushBase pushes a base image with this machine's busybox, and returns its name.
func (r *rehearsal) pushBase() string {
	r.t.Helper()
	var content bytes.Buffer
	archive := tar.NewWriter(&content)
	add := func(header tar.Header, text []byte) {
		header.Size = int64(len(text))
		err := archive.WriteHeader(&header)
		if err == nil {
			_, err = archive.Write(text)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	libraries := regexp.MustCompile(`/\S+`).FindAllString(command(r.t, ".", "sh", "-c", "ldd /bin/busybox || true"), -1) // none if it is static
	for _, file := range append(libraries, "/bin/busybox") {
		text, err := os.ReadFile(file)
		if err != nil {
			r.t.Fatal(err)
		}
		add(tar.Header{Name: strings.TrimPrefix(file, "/"), Mode: 0o755}, text)
	}
	for _, tool := range []string{"sh", "env", "tail"} {
		add(tar.Header{Name: "bin/" + tool, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}, nil)
	}
	if err := archive.Close(); err != nil {
		r.t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil })
	if err != nil {
		r.t.Fatal(err)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range []string{"amd64", "arm64"} { // only this machine's can run
		platform := v1.Platform{OS: "linux", Architecture: arch}
		config := &v1.ConfigFile{OS: "linux", Architecture: arch, RootFS: v1.RootFS{Type: "layers"}}
		base, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), config)
		if err == nil {
			base, err = mutate.AppendLayers(base, layer)
		}
		if err != nil {
			r.t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: base, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	digest, err := index.Digest()
	if err != nil {
		r.t.Fatal(err)
	}
	reference, err := name.NewDigest(r.registry + "/busybox@" + digest.String())
	if err == nil {
		err = remote.WriteIndex(reference, index)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return reference.Name()
}

// job is a job of release.yml.
type job struct {
	Needs string
	Uses  string
	Steps []struct {
		Uses, Run string
		Env       map[string]string
	}
}

// release runs the jobs of release.yml, each after the one that it needs, and returns the name of the one that fails.
func (r *rehearsal) release(version string) (failed string) {
	r.t.Helper()
	var workflow struct {
		Env  map[string]string
		Jobs map[string]job
	}
	text, err := os.ReadFile(filepath.Join(r.main, ".github/workflows/release.yml"))
	if err == nil {
		err = yaml.Unmarshal(text, &workflow)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.log = ""
	previous := "test" // which is CI
	if workflow.Jobs[previous].Uses != "./.github/workflows/ci.yml" {
		r.t.Fatalf("the first job is %+v", workflow.Jobs[previous])
	}
	for range len(workflow.Jobs) - 1 {
		var next string
		for name, job := range workflow.Jobs {
			if job.Needs == previous {
				next = name
			}
		}
		if next == "" {
			r.t.Fatalf("no job of release.yml needs %s", previous)
		}
		if err := r.runJob(workflow.Jobs[next], workflow.Env, version); err != nil {
			return next
		}
		previous = next
	}
	return ""
}

var expression = regexp.MustCompile(`\$\{\{ (\S+) \}\}`)

// runJob runs the steps of a job in a new clone, as the runner does.
func (r *rehearsal) runJob(j job, workflowEnv map[string]string, version string) error {
	r.t.Helper()
	dir := r.t.TempDir()
	workspace := filepath.Join(dir, "workspace")
	command(r.t, dir, "git", "clone", "--quiet", r.remote+"/org/atta-deploy-action", workspace) // actions/checkout
	command(r.t, workspace, "mkdir", "--parents", ".cache/bin")
	command(r.t, root, "cp", ".cache/bin/act", filepath.Join(workspace, ".cache/bin"))
	values := map[string]string{"inputs.version": version, "github.token": gitToken, "github.server_url": r.remote, "github.repository": "org/atta-deploy-action"}
	for _, step := range j.Steps {
		if step.Run == "" {
			if !strings.HasPrefix(step.Uses, "actions/checkout@") && !strings.HasPrefix(step.Uses, "actions/attest-build-provenance@") {
				r.t.Fatalf("a step uses %q", step.Uses)
			}
			continue
		}
		script := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
		script.Dir = workspace
		script.Env = append(os.Environ(), "HOME="+dir, "GITHUB_WORKSPACE="+workspace, "GITHUB_OUTPUT="+filepath.Join(dir, "output"),
			"GITHUB_SERVER_URL="+r.remote, "GITHUB_REPOSITORY=org/atta-deploy-action", "GITHUB_RUN_ID=1", "GITHUB_RUN_ATTEMPT=1",
			"GITHUB_WORKFLOW_REF=org/atta-deploy-action/.github/workflows/release.yml@refs/heads/main")
		for _, variable := range []string{"GOMODCACHE", "GOCACHE", "GOPATH"} { // as actions/setup-go restores them
			script.Env = append(script.Env, variable+"="+strings.TrimSpace(command(r.t, root, "go", "env", variable)))
		}
		for _, env := range []map[string]string{workflowEnv, step.Env} {
			for name, value := range env {
				value = strings.Replace(value, "ghcr.io", r.registry, 1)
				script.Env = append(script.Env, name+"="+expression.ReplaceAllStringFunc(value, func(found string) string {
					known, ok := values[expression.FindStringSubmatch(found)[1]]
					if !ok {
						r.t.Fatalf("%s has the unknown value %s", name, found)
					}
					return known
				}))
			}
		}
		out, err := withoutOtherAct(script.CombinedOutput)
		r.log += string(out)
		if err != nil {
			return err
		}
	}
	return nil
}

// tagged returns the commit of a tag of the remote.
func (r *rehearsal) tagged(revision string) string {
	r.t.Helper()
	return strings.TrimSpace(command(r.t, r.bare, "git", "rev-parse", revision))
}
