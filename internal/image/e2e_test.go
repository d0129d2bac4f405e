//go:build e2e

package image

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// program returns the path of a Debian program, and fails the test if it is missing.
func program(t *testing.T, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("install Debian's package %s: %v", filepath.Base(path), err)
	}
	return path
}

// debianRegistry starts Debian's docker-registry and returns its host.
func debianRegistry(t *testing.T) string {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	host := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", t.TempDir(), host)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	cmd := exec.Command(program(t, "/usr/bin/docker-registry"), "serve", config)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("docker-registry: %s", &output)
		}
	})
	for range 100 {
		if answer, err := http.Get("http://" + host + "/v2/"); err == nil {
			_ = answer.Body.Close()
			return host
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("docker-registry does not respond: %s", &output)
	return ""
}

func skopeo(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(program(t, "/usr/bin/skopeo"), append([]string{"--insecure-policy", "--tmpdir", t.TempDir()}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("skopeo %s: %v: %s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

func TestE2ESkopeoReadsWhatWasPushed(t *testing.T) {
	host := debianRegistry(t)
	repo, err := NewRepository(host, "team/app", authn.Anonymous)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	single := layoutOf(t, randomImage(3)).folder(t)
	index := layoutOf(t, twoPlatforms()).folder(t)
	skopeo(t, "copy", "oci:"+single, "oci-archive:"+dir+"/single.tar:app:1")
	skopeo(t, "copy", "--all", "oci:"+index, "oci-archive:"+dir+"/index.tar")
	skopeo(t, "copy", "oci:"+single, "docker-archive:"+dir+"/docker.tar:app:1")

	skopeo(t, "copy", "--dest-compress", "--dest-compress-format=zstd", "oci:"+single, "oci-archive:"+dir+"/zstd.tar:app:1")
	skopeo(t, "copy", "--dest-decompress", "oci:"+single, "dir:"+dir+"/dir")
	skopeo(t, "copy", "--dest-oci-accept-uncompressed-layers", "dir:"+dir+"/dir", "oci:"+dir+"/plain")
	ctr := containerd(t)
	ctr("image", "import", "--no-unpack", "--index-name", "app:1", dir+"/zstd.tar")
	ctr("image", "export", dir+"/containerd.tar", "app:1")
	if err := refused(t, dir+"/dir"); !strings.Contains(err.Error(), "convert it with skopeo copy") {
		t.Errorf("error is %q", err)
	}

	for tag, file := range map[string]string{
		"single": "single.tar", "index": "index.tar", "docker": "docker.tar", "zstd": "zstd.tar", "plain": "plain", "containerd": "containerd.tar",
	} {
		t.Run(file, func(t *testing.T) {
			src := opened(t, filepath.Join(dir, file))
			before := src.Digest()
			pushed, err := repo.Push(t.Context(), src, tag, PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if before != "" && before != pushed.Digest {
				t.Errorf("%s became %s", before, pushed.Digest)
			}
			remote := "docker://" + host + "/team/app:" + tag
			if got := skopeo(t, "inspect", "--no-tags", "--tls-verify=false", "--format", "{{.Digest}}", remote); got != pushed.Digest {
				t.Errorf("skopeo inspects %s, want %s", got, pushed.Digest)
			}
			back := filepath.Join(t.TempDir(), "back")
			skopeo(t, "copy", "--all", "--preserve-digests", "--src-tls-verify=false", remote, "oci:"+back)
			if got := opened(t, back).Digest(); got != pushed.Digest {
				t.Errorf("skopeo copies back %s, want %s", got, pushed.Digest)
			}
			again, err := repo.Push(t.Context(), opened(t, filepath.Join(dir, file)), tag, PushOptions{})
			if err != nil || again.Uploaded || again.Digest != pushed.Digest {
				t.Errorf("the second push is %+v, %v", again, err)
			}
			promoted, err := repo.Push(t.Context(), opened(t, host+"/team/app:"+tag), tag+"-promoted", PushOptions{})
			if err != nil || promoted.Digest != pushed.Digest || promoted.Bytes != 0 {
				t.Errorf("the promotion is %+v, %v", promoted, err)
			}
		})
	}
}
