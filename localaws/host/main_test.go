package host_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/host"
	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/test/tier"
)

// Built once for all tests.
var (
	program         string // of the sample image
	standinPrograms string // folder of the stand-ins
)

const password = "open sesame"

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// slow are tests of the real AWS CLI, which takes a second to start, and one that kills at every point.
var slow = []string{"TestAPullKilledAnywhereLeavesNoImage", "TestEveryAWSCLIPrintsParametersAlike", "TestRealAWSCLIIsUsedWhenInstalled"}

func run(m *testing.M) int {
	if err := tier.MarkSlow(slow...); err != nil {
		log.Print(err)
		return 1
	}
	dir, err := os.MkdirTemp("", "sample-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if program, err = sample.BuildProgram(context.Background(), dir); err != nil {
		log.Print(err)
		return 1
	}
	if standinPrograms, err = host.BuildStandins(context.Background(), dir); err != nil {
		log.Print(err)
		return 1
	}
	return m.Run()
}

// machine is a host with helpers that fail the test.
type machine struct {
	*host.Host
	t *testing.T
}

func boot(t *testing.T) machine {
	t.Helper()
	h, err := host.New(host.Options{Dir: t.TempDir(), AWSCLI: "standin", Standins: standinPrograms})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return machine{h, t}
}

// sh runs a script that must exit with code and returns its output.
func (m machine) sh(code int, script string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	exit := m.Run(ctx, "#!/bin/bash\n"+script, nil)
	if exit.Code != code {
		m.t.Fatalf("exit status %d, want %d\n--- script\n%s\n--- stdout\n%s\n--- stderr\n%s", exit.Code, code, script, exit.Stdout, exit.Stderr)
	}
	return strings.TrimSpace(string(exit.Stdout) + string(exit.Stderr))
}

func (m machine) want(code int, script, output string) {
	m.t.Helper()
	if got := m.sh(code, script); got != output {
		m.t.Errorf("%s\n got %q\nwant %q", script, got, output)
	}
}

func (m machine) wantPart(code int, script, part string) {
	m.t.Helper()
	if got := m.sh(code, script); !strings.Contains(got, part) {
		m.t.Errorf("%s\ngot %q\nwithout %q", script, got, part)
	}
}

func (m machine) write(path, text string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.Path(path)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.Path(path), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m machine) unit(name, text string) {
	m.t.Helper()
	m.write("/etc/systemd/system/"+name, text)
	m.sh(0, "systemctl daemon-reload")
}

// eventually waits until a script exits with 0.
func (m machine) eventually(script string) {
	m.t.Helper()
	var last localaws.Exit
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if last = m.Run(m.t.Context(), script, nil); last.Code == 0 {
			return
		}
	}
	m.t.Fatalf("never true: %s\n%s%s", script, last.Stdout, last.Stderr)
}

// repository is a registry that lets AWS in with the password.
type repository struct {
	host string
	t    *testing.T
	edit func(*http.Request, []byte) []byte // changes what is served
}

func serve(t *testing.T) *repository {
	t.Helper()
	r := &repository{t: t}
	stored := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, pass, _ := req.BasicAuth(); user != "AWS" || pass != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		if r.edit == nil {
			stored.ServeHTTP(w, req)
			return
		}
		answer := httptest.NewRecorder()
		stored.ServeHTTP(answer, req)
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(r.edit(req, bytes.Clone(answer.Body.Bytes())))
	}))
	t.Cleanup(server.Close)
	r.host = server.Listener.Addr().String()
	return r
}

// push stores an image under the tag of atta and returns its digest reference.
func (r *repository) push(tag string, opts ...sample.Option) (digestRef string) {
	r.t.Helper()
	img, err := sample.NewImage(program, opts...)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.pushContent(tag, img)
}

func (r *repository) pushContent(tag string, content remote.Taggable) string {
	r.t.Helper()
	ref, err := name.NewTag(r.host + "/atta:" + tag)
	if err != nil {
		r.t.Fatal(err)
	}
	auth := remote.WithAuth(&authn.Basic{Username: "AWS", Password: password})
	var digest v1.Hash
	switch c := content.(type) {
	case v1.ImageIndex:
		if err = remote.WriteIndex(ref, c, auth); err == nil {
			digest, err = c.Digest()
		}
	case v1.Image:
		if err = remote.Write(ref, c, auth); err == nil {
			digest, err = c.Digest()
		}
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprintf("%s/atta@%s", r.host, digest)
}

func (r *repository) login(m machine) {
	m.t.Helper()
	m.wantPart(0, "echo '"+password+"' | docker login --username AWS --password-stdin "+r.host, "Login Succeeded")
}
