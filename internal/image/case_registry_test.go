package image

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// breakingProxy forwards connections to target and returns its host. It breaks off, once, the first connection that has
// carried more than limit bytes in one direction, and then sets cut.
func breakingProxy(t *testing.T, target string, limit int64, cut *atomic.Bool) string {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { _ = listener.Close() })
	forward := func(to, from net.Conn) {
		defer to.Close()
		defer from.Close()
		if _, err := io.CopyN(to, from, limit); err != nil || cut.CompareAndSwap(false, true) {
			return
		}
		_, _ = io.Copy(to, from)
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			go forward(server, client)
			go forward(client, server)
		}
	}()
	return listener.Addr().String()
}

func TestCaseAConnectionThatBreaksInTheMiddleOfALayer(t *testing.T) {
	image := imageOf(2_000_000)
	for way, ref := range bothWays(t, image) {
		t.Run(way+" is pushed", func(t *testing.T) {
			s := newServer(t)
			var cut atomic.Bool
			host := breakingProxy(t, s.host, 500_000, &cut)
			repo := must(NewRepository(host, "app", authn.Anonymous))
			repo.client.backoff = 2 * time.Millisecond
			got, err := repo.Push(t.Context(), opened(t, ref), "1", PushOptions{})
			if err != nil || !cut.Load() {
				t.Fatalf("cut: %v, %v", cut.Load(), err)
			}
			s.checkPushed(t, "app:1", got)
		})
	}
	t.Run("registry reference is copied", func(t *testing.T) {
		from, s := newServer(t), newServer(t)
		if err := remote.Write(must(name.ParseReference(from.host+"/app:1")), image); err != nil {
			t.Fatal(err)
		}
		var cut atomic.Bool
		host := breakingProxy(t, from.host, 500_000, &cut)
		got, err := s.repository(t, "app").Push(t.Context(), opened(t, host+"/app:1"), "1", PushOptions{})
		if err != nil || !cut.Load() {
			t.Fatalf("cut: %v, %v", cut.Load(), err)
		}
		if s.checkPushed(t, "app:1", got); got.Digest != digestIn(image) {
			t.Errorf("digest is %s, want %s", got.Digest, digestIn(image))
		}
	})
}

func TestCaseAnImageInARegistryThatLacksLayersIsRefused(t *testing.T) {
	dir := changeLayout(t, layoutOf(t, randomImage(2)), wrongIndexes["no layers"]).folder(t)
	index := must(ocilayout.ImageIndexFromPath(dir))
	image := must(index.Image(must(index.IndexManifest()).Manifests[0].Digest))
	s := newServer(t)
	if err := remote.Write(must(name.ParseReference(s.host+"/app:1")), image); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), s.host+"/app:1", authn.NewMultiKeychain()); err == nil || !strings.Contains(err.Error(), "lists 0 layers, its config 2") {
		t.Errorf("error is %v", err)
	}
}

// A container action does not see the docker login of an earlier step, unless both get the same DOCKER_CONFIG:
// https://github.com/docker/login-action/issues/147
// Docker Hub lets whoever has not logged in read a few images only: https://github.com/actions/runner-images/issues/1445
func TestCaseAPrivateSourceImageNeedsALoginThatTheContainerSees(t *testing.T) {
	s, image := newServer(t), twoPlatforms()
	ref := s.host + "/app:1"
	if err := remote.WriteIndex(must(name.ParseReference(ref)), image); err != nil {
		t.Fatal(err)
	}
	for scheme, intercept := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"401": basicOnly, "403": forbidden, "429": limitedTo("/v2/"), "429 for an image of the index": limitedTo("/v2/", "/v2/app/manifests/1"),
	} {
		t.Run(scheme, func(t *testing.T) {
			s.interceptWith(intercept)
			t.Setenv("DOCKER_CONFIG", t.TempDir())
			_, err := Open(t.Context(), ref, authn.DefaultKeychain)
			if !errors.Is(err, ErrNoLogin) || !strings.Contains(err.Error(), ref) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v", err)
			}
		})
	}
	config := func(password string) {
		dir := t.TempDir()
		t.Setenv("DOCKER_CONFIG", dir)
		logins := map[string]map[string]authn.AuthConfig{"auths": {s.host: {Username: "user", Password: password}}}
		if err := os.WriteFile(filepath.Join(dir, "config.json"), must(json.Marshal(logins)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config("old")
	s.interceptWith(basicOnly)
	if _, err := Open(t.Context(), ref, authn.DefaultKeychain); err == nil || errors.Is(err, ErrNoLogin) || !strings.Contains(err.Error(), "refuses the credentials") {
		t.Errorf("with a login that is not accepted, the error is %v", err)
	}
	config("secret")
	src, err := Open(t.Context(), ref, authn.DefaultKeychain)
	if closing(t, src, err).Digest() != digestIn(image) {
		t.Errorf("digest is %s", src.Digest())
	}
}

// basicOnly refuses every request but those of one user.
func basicOnly(w http.ResponseWriter, r *http.Request) bool {
	if user, password, _ := r.BasicAuth(); user == "user" && password == "secret" {
		return false
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
	return true
}

// forbidden refuses every request but the first of a client, as registries do that let anybody in to read public images.
func forbidden(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path == "/v2/" {
		return false
	}
	refuse(w, http.StatusForbidden, "DENIED")
	return true
}

// limitedTo refuses every request for another path, since the client has read too much.
func limitedTo(paths ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if slices.Contains(paths, r.URL.Path) {
			return false
		}
		refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS")
		return true
	}
}

// ECR refuses a manifest or a tag too many with the words that it also has for a missing permission:
// https://github.com/medic/cht-core/issues/11099, https://github.com/semaphoreci/docs/issues/404
func TestCaseAQuotaOfECRIsNoMatterOfCredentials(t *testing.T) {
	for said, path := range map[string]string{
		"Adding tag '1' to an image in the repository with name 'app' in registry with id '1' exceeds the maximum allowed number of tags per image which is '1000'": "/manifests/1",
		"The repository with name 'app' in registry with id '1' already has the maximum allowed number of images which is '10000'":                                  "/manifests/sha256:",
	} {
		s := newServer(t)
		s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, path) {
				return false
			}
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":%q}]}`, said)
			return true
		})
		repository := s.repository(t, "app")
		repository.client.backoff = time.Hour
		_, err := repository.Push(t.Context(), opened(t, write(t, layoutOf(t, twoPlatforms()).tar())), "1", PushOptions{})
		if !errors.Is(err, ErrQuota) || !strings.Contains(err.Error(), said) || strings.Contains(err.Error(), "credentials") {
			t.Errorf("error is %v", err)
		}
	}
}

// Go reads SSL_CERT_FILE once in a process, so the image is read in another one. A container action has the CAs of its image
// only: https://github.com/EnricoMi/publish-unit-test-result-action/issues/637
func TestCaseTheCAOfACompanyIsReadFromSSLCertFile(t *testing.T) {
	if ref := os.Getenv("IMAGE_BEHIND_TLS"); ref != "" {
		if _, err := Open(t.Context(), ref, authn.NewMultiKeychain()); err != nil {
			t.Fatal(err)
		}
		return
	}
	s := httptest.NewTLSServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	defer s.Close()
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	ref := s.Listener.Addr().String() + "/app:1"
	if err := remote.Write(must(name.ParseReference(ref)), randomImage(1), remote.WithTransport(s.Client().Transport)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for ca, known := range map[string]bool{file: true, os.DevNull: false} {
		read := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		read.Env = append(os.Environ(), "IMAGE_BEHIND_TLS="+ref, "SSL_CERT_FILE="+ca)
		out, err := read.CombinedOutput()
		if known != (err == nil) || !known && !strings.Contains(string(out), "certificate signed by unknown authority") {
			t.Errorf("with %s: %v\n%s", ca, err, out)
		}
	}
	_, err := http.Get(s.URL)
	if err == nil || isRetryable(err) {
		t.Errorf("a push would try again after %v", err)
	}
}
