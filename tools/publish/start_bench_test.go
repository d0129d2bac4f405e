//go:build bench

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/atta-deploy-action/localaws/container"
	"github.com/org/atta-deploy-action/test/table"
)

const startRounds = 40

// TestTableOfStarts rewrites the table of starts in docs/benchmarks.md: how long the published image takes to its first line,
// and how long node does. It is built from what is committed.
func TestTableOfStarts(t *testing.T) {
	stop, err := container.Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	image, native := publishForBench(t)
	if out, err := exec.CommandContext(t.Context(), "docker", "pull", "--quiet", image).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	starts := []struct {
		name    string
		command []string
		times   []time.Duration
	}{
		{name: "this action, `docker run` of its image", command: []string{"docker", "run", "--rm", image}},
		{name: "`echo`, `docker run` of the same image", command: []string{"docker", "run", "--rm", "--entrypoint=echo", image, "line"}},
		{name: "this action, without a container", command: []string{native}},
		{name: "`node -e 'console.log()'`, without a container", command: []string{"node", "-e", "console.log()"}},
	}
	for range startRounds {
		for i := range starts {
			starts[i].times = append(starts[i].times, timeFirstLine(t, starts[i].command))
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "Medians of %d starts, which take turns, on a machine with %d cores; %s; node %s. The image is on the engine. As it is pulled, it has %s.\n\n",
		startRounds, runtime.NumCPU(), firstLine(t, "dockerd", "--version"), firstLine(t, "node", "--version"), describeSizes(image))
	text.WriteString("| start | median | fastest | slowest |\n|---|---:|---:|---:|\n")
	for _, s := range starts {
		slices.Sort(s.times)
		fmt.Fprintf(&text, "| %s | %d ms | %d ms | %d ms |\n", s.name, s.times[len(s.times)/2].Milliseconds(), s.times[0].Milliseconds(), s.times[len(s.times)-1].Milliseconds())
	}
	if err := table.Rewrite("../../docs/benchmarks.md", "start", text.String()); err != nil {
		t.Fatal(err)
	}
}

// publishForBench publishes the image to a registry on this machine, on the base image that BASE names, and returns it and
// the path of this machine's program.
func publishForBench(t *testing.T) (image, native string) {
	t.Helper()
	host, stop, err := serveRegistry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() })
	p := publication{version: "999.0.0", repository: host + "/org/atta-deploy-action", base: os.Getenv("BASE"), platforms: []string{"linux/amd64", "linux/arm64"}, root: filepath.Join(t.TempDir(), "clone")}
	if out, err := exec.CommandContext(t.Context(), "git", "clone", "--quiet", "../..", p.root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(p.root, "CHANGELOG.md"), []byte("\n## 999.0.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if image, err = p.publishImage(t.Context()); err != nil {
		t.Fatal(err)
	}
	return image, filepath.Join(p.root, ".cache", "publish", runtime.GOARCH, program)
}

// timeFirstLine returns how long a command takes to its first line, whatever its exit status is.
func timeFirstLine(t *testing.T, args []string) time.Duration {
	t.Helper()
	command := exec.CommandContext(t.Context(), args[0], args[1:]...)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(out)
	began := time.Now()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_, err = reader.ReadString('\n')
	took := time.Since(began)
	if err != nil {
		t.Fatalf("%v prints no line: %v", args, err)
	}
	_, _ = io.Copy(io.Discard, reader)
	_ = command.Wait() // without inputs, the action fails
	return took
}

func firstLine(t *testing.T, args ...string) string {
	t.Helper()
	line, _, _ := strings.Cut(string(must(exec.CommandContext(t.Context(), args[0], args[1:]...).Output())), "\n")
	return line
}

// describeSizes lists the compressed sizes of an image's layers by platform; the last is the action's.
func describeSizes(image string) string {
	index := must(remote.Index(must(name.ParseReference(image))))
	var sizes []string
	for _, platform := range must(index.IndexManifest()).Manifests {
		total, last := int64(0), int64(0)
		for _, layer := range must(must(index.Image(platform.Digest)).Manifest()).Layers {
			last = layer.Size
			total += last
		}
		sizes = append(sizes, fmt.Sprintf("%.1f MB for %s, %.1f MB of it the base", float64(total)/1e6, platform.Platform, float64(total-last)/1e6))
	}
	return strings.Join(sizes, ", and ")
}
