package image

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
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
func TestCaseAPrivateSourceImageNeedsALoginThatTheContainerSees(t *testing.T) {
	s, image := newServer(t), randomImage(1)
	ref := s.host + "/app:1"
	if err := remote.Write(must(name.ParseReference(ref)), image); err != nil {
		t.Fatal(err)
	}
	for scheme, intercept := range map[string]func(http.ResponseWriter, *http.Request) bool{"401": basicOnly, "403": forbidden} {
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
