// Command bench pushes images side by side with other tools, to a registry server on this machine, and rewrites the
// table of docs/benchmarks.md: make bench. It needs docker-registry and, to be compared with, skopeo and a Docker engine
// (Debian: docker-registry skopeo docker.io), and crane, regctl and oras on PATH.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/test/bench/link"
	"github.com/org/atta-deploy-action/test/table"
)

// main is also this action's side of the comparison, so that it is measured as a process like the others: push IMAGE HOST
// REPOSITORY TAG RECENT-TAG COMPRESSION.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if len(os.Args) == 8 && os.Args[1] == "push" {
		err = push(ctx, os.Args[2:])
	} else {
		err = bench(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func push(ctx context.Context, args []string) error {
	src, err := image.Open(ctx, args[0], authn.NewMultiKeychain())
	if err != nil {
		return err
	}
	defer src.Close()
	repo, err := image.NewRepository(args[1], args[2], authn.Anonymous)
	if err != nil {
		return err
	}
	_, err = repo.Push(ctx, src, args[3], image.PushOptions{Recent: []string{args[4]}, Compression: image.Compression(args[5])})
	return err
}

// scenario is a push, and the push before it.
type scenario struct {
	name          string
	before, timed job // before is empty: into an empty registry
}

func bench(ctx context.Context) (err error) {
	file := flag.String("table", "", "rewrite the table of pushes in this file")
	rounds := flag.Int("rounds", 5, "number of rounds, in which every tool takes its turn")
	size := flag.Int("size", 485, "size of the image in MiB")
	only := flag.String("only", "", "measure only those whose scenario, link and tool match, as in 'OCI.*loopback: (this|crane)'")
	flag.Parse()
	chosen, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("/dev/shm", "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintf(os.Stderr, "building images of %d MiB\n", *size)
	all, err := buildImages(dir, *size)
	if err != nil {
		return err
	}
	var present []tool
	var loaded time.Duration
	for _, t := range tools(self) {
		sample := all["first"]
		if t.command(sample) == nil {
			sample = all["oci-first"]
		}
		command, done, err := t.prepare(ctx, dir, sample)
		if err == nil {
			_, err = exec.LookPath(command.Path)
			loaded = max(loaded, done.loaded)
			err = errors.Join(err, done.stop())
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s is left out: %v\n", t.name, err)
			continue
		}
		present = append(present, t)
	}
	scenarios := []scenario{
		{"type=oci, cold", job{}, all["oci-first"]},
		{"type=oci, last layer changed", all["oci-first"], all["oci-next"]},
		{"type=oci, unchanged", all["oci-first"], all["oci-first"]},
		{"OCI layout in a folder, cold", job{}, all["layout-first"]},
		{"OCI layout in a folder, last layer changed", all["layout-first"], all["layout-next"]},
		{"docker save, cold", job{}, all["first"]},
		{"docker save, last layer changed", all["first"], all["next"]},
		{"docker save, unchanged", all["first"], all["first"]},
		{"docker save in gzip, cold", job{}, all["gzip"]},
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Medians of %d rounds, in each of which every tool takes its turn, on a machine with %d cores (%s). The image has %d MiB of this machine's programs in four layers; the registry is Debian's docker-registry with its files in memory. Docker pushes from an engine that has loaded the image and remembers nothing, as on a fresh runner; a load took %.1f s more. A tool that cannot read a format is left out: crane reads neither a layout in a tar nor a compressed tar, skopeo 1.9 no compressed tar, oras layouts alone. ×: the tool's time over this action's.\n",
		*rounds, runtime.NumCPU(), cpuName(), *size, loaded.Seconds())
	for _, l := range []link.Link{{}, {Total: 100 << 20, One: 40 << 20, Delay: 20 * time.Millisecond}} {
		for _, s := range scenarios {
			if l.Total > 0 && (s.timed.kind == "layout" || s.timed.kind == "gzip") {
				continue
			}
			rows, err := measureScenario(ctx, dir, l, s, present, *rounds, chosen)
			if err != nil {
				return err
			}
			if rows == "" {
				continue
			}
			fmt.Fprintf(&b, "\n**%s**, %s\n\n| tool | time | × | CPU | peak memory | requests | MB sent |\n|---|---:|---:|---:|---:|---:|---:|\n%s", s.name, l, rows)
		}
	}
	b.WriteString("\n" + toolVersions(ctx))
	fmt.Print(b.String())
	if *file == "" {
		return nil
	}
	return table.Rewrite(*file, "push", b.String())
}
