//go:build e2e

package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// containerd starts Debian's containerd and returns a function that runs ctr.
func containerd(t *testing.T) func(args ...string) {
	t.Helper()
	dir := t.TempDir()
	config, socket := filepath.Join(dir, "config.toml"), filepath.Join(dir, "c.sock")
	text := "version = 2\nroot = '" + dir + "/root'\nstate = '" + dir + "/state'\ndisabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.internal.v1.opt']\n" +
		"[grpc]\naddress = '" + socket + "'\n[ttrpc]\naddress = '" + dir + "/t.sock'\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t, "/usr/bin/containerd"), "--config", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ctr := func(args ...string) ([]byte, error) {
		return exec.Command(program(t, "/usr/bin/ctr"), append([]string{"--address", socket}, args...)...).CombinedOutput()
	}
	for range 100 {
		if _, err := ctr("version"); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return func(args ...string) {
		t.Helper()
		if out, err := ctr(args...); err != nil {
			t.Fatalf("ctr %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
}
