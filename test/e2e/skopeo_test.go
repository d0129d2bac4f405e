//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// debian returns the path of a program; without it the test would prove nothing.
func debian(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: apt-get install %s", name, name)
	}
	return path
}

func skopeo(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(debian(t, "skopeo"), append([]string{"--insecure-policy", "--tmpdir", t.TempDir()}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("skopeo %s: %v: %s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// dockerRegistry starts Debian's registry server and returns its host.
func dockerRegistry(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config.yml")
	write(t, config, fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", t.TempDir(), host))
	server := exec.Command(debian(t, "docker-registry"), "serve", config)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	eventually(t, "docker-registry answers", func() bool {
		answer, err := http.Get("http://" + host + "/v2/")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return true
	})
	return host
}

// Skopeo writes the archive, the action pushes it, skopeo reads it back: from a
// registry of strangers and from the one that stands for ECR.
func TestE2EArchiveOfSkopeoKeepsItsDigest(t *testing.T) {
	for name, index := range map[string]bool{"image": false, "index": true} {
		t.Run(name, func(t *testing.T) {
			s := play(t)
			var built mutate.Appendable = s.sample("0.1.0-dev")
			if index {
				var err error
				if built, err = sample.NewIndex(s.sample("0.1.0-dev", sample.WithArchitecture("amd64")), s.sample("0.1.0-dev", sample.WithArchitecture("arm64"))); err != nil {
					t.Fatal(err)
				}
			}
			layout := filepath.Join(t.TempDir(), "layout")
			if err := sample.SaveLayout(layout, built); err != nil {
				t.Fatal(err)
			}
			archive := filepath.Join(s.workspace, "image.tar")
			skopeo(t, "copy", "--all", "oci:"+layout, "oci-archive:"+archive)
			want := skopeo(t, "inspect", "--raw", "oci-archive:"+archive)
			login, err := image.Login(ecr.NewFromConfig(s.aws.Config())).Authorization()
			if err != nil {
				t.Fatal(err)
			}
			for _, host := range []string{dockerRegistry(t), s.aws.RegistryHost()} {
				s.run("phases=image", "ecr-registry="+host).wants("success")
				remote, creds := "docker://"+host+"/atta:0.1.0-dev", login.Username+":"+login.Password
				if got := skopeo(t, "inspect", "--raw", "--tls-verify=false", "--creds", creds, remote); got != want {
					t.Errorf("skopeo reads the manifest\n%s\nwant\n%s", got, want)
				}
				back := filepath.Join(t.TempDir(), "back")
				skopeo(t, "copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--src-creds", creds, remote, "oci:"+back)
				if got := skopeo(t, "inspect", "--raw", "oci:"+back); got != want {
					t.Errorf("skopeo copies back the manifest\n%s\nwant\n%s", got, want)
				}
			}
		})
	}
}
