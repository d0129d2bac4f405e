//go:build e2e

package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/container"
)

// golang is an image with this machine's Go, the modules of go.mod and what its build cache has of the action.
const golang = "atta-golang"

// copyBuildCache copies the compiled packages of the action from this machine's build cache to a folder that becomes
// another's. An entry of the cache is a file <action>-a, which names the file <output>-d:
// https://pkg.go.dev/cmd/go/internal/cache
func copyBuildCache(t *testing.T, folder string) {
	t.Helper()
	cache := strings.TrimSpace(command(t, root, "go", "env", "GOCACHE"))
	compiled := map[string]bool{}
	for path := range strings.FieldsSeq(command(t, root, "env", "CGO_ENABLED=0", "go", "list", "-deps", "-export", "-trimpath", "-f={{.Export}}", ".")) {
		compiled[strings.TrimSuffix(filepath.Base(path), "-d")] = true
	}
	entries, err := filepath.Glob(filepath.Join(cache, "??", "*-a"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		text, _ := os.ReadFile(entry) // another process may have removed it
		fields := strings.Fields(string(text))
		if len(fields) < 3 || !compiled[fields[2]] {
			continue
		}
		for _, file := range []string{filepath.Base(entry), fields[2] + "-d"} {
			to := filepath.Join(folder, file[:2])
			command(t, ".", "mkdir", "-p", to)
			command(t, ".", "cp", "--archive", filepath.Join(cache, file[:2], file), to)
		}
	}
}

// replaceBases replaces the images that a Dockerfile starts from: nothing is pulled. Both are the instance's Debian, one
// with Go.
func replaceBases(t *testing.T, file string) {
	t.Helper()
	debian, err := images[container.Bookworm.Name]()
	if err != nil {
		t.Fatal(err)
	}
	command(t, ".", "sed", "--in-place", "s|^FROM golang.* AS build$|FROM "+golang+" AS build|; s|^FROM busybox.*|FROM "+debian+"|", file)
	context := t.TempDir()
	goroot := strings.TrimSpace(command(t, root, "go", "env", "GOROOT"))
	proxy := strings.TrimSpace(command(t, root, "go", "env", "GOPROXY"))
	modules := strings.TrimSpace(command(t, root, "go", "env", "GOMODCACHE"))
	command(t, root, "env", "GOPROXY=file://"+modules+"/cache/download,"+proxy, "GOFLAGS=-modcacherw", "GOMODCACHE="+filepath.Join(context, "mod"), "go", "mod", "download")
	command(t, context, "cp", "--archive", goroot, "go")
	copyBuildCache(t, filepath.Join(context, "cache"))
	dockerfile := "FROM " + debian + "\nCOPY go /usr/local/go\nCOPY mod /go/pkg/mod\nCOPY cache /root/.cache/go-build\n" +
		"ENV PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin GOPATH=/go GOPROXY=off GOFLAGS=-modcacherw GOTOOLCHAIN=local\n"
	if err := os.WriteFile(filepath.Join(context, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, context, "docker", "build", "--quiet", "--tag", golang, ".")
}
