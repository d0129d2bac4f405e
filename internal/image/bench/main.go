// Command bench pushes images side by side with other tools, to a registry server on this machine, and rewrites the
// table of docs/benchmarks.md: make bench. It needs docker-registry and, to be compared with, skopeo and a Docker engine
// (Debian: docker-registry skopeo docker.io), and crane and regctl on PATH.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/image/bench/link"
)

// Ours is this program itself, so that it is measured as a process like the others: push IMAGE HOST REPOSITORY TAG NEAR
// COMPRESSION.
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
	_, err = repo.Push(ctx, src, args[3], image.How{Near: []string{args[4]}, Compression: image.Compression(args[5])})
	return err
}

// scenario is what is pushed, after what.
type scenario struct {
	name          string
	before, timed job // an empty before: to an empty registry
}

func bench(ctx context.Context) (err error) {
	table := flag.String("table", "", "rewrite the table of pushes in this file")
	rounds := flag.Int("rounds", 5, "number of rounds, in which every tool takes its turn")
	size := flag.Int("size", 485, "size of the image in MB")
	only := flag.String("only", "", "measure those alone whose scenario, link and tool match, as in 'OCI.*loopback: (this|crane)'")
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
	fmt.Fprintf(os.Stderr, "building images of %d MB\n", *size)
	all, err := build(dir, *size)
	if err != nil {
		return err
	}
	var present []tool
	var loads string
	for _, t := range tools(self) {
		program := t.command(job{kind: "docker-save"})[0]
		if t.name == docker {
			program = "docker"
			if loads, err = load(ctx, *rounds, all["first"], all["next"]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				continue
			}
		}
		if _, err := exec.LookPath(program); err != nil {
			fmt.Fprintf(os.Stderr, "%s is missing and is left out\n", t.name)
			continue
		}
		present = append(present, t)
	}
	scenarios := []scenario{
		{"cold, docker save", job{}, all["first"]},
		{"last layer changed", all["first"], all["next"]},
		{"unchanged", all["first"], all["first"]},
		{"cold, docker save in gzip", job{}, all["gzip"]},
		{"cold, OCI layout", job{}, all["oci"]},
		{"OCI layout, last layer changed", all["oci"], all["oci-next"]},
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Medians of %d rounds, in each of which every tool takes its turn, on a machine with %d cores (%s). The image has %d MB of this machine's programs in four layers; the registry is Debian's docker-registry with its files in memory. A docker push is without the docker load before it%s. ×: the time of this action that a tool takes.\n",
		*rounds, runtime.NumCPU(), cpu(), *size, loads)
	for _, l := range []link.Link{{}, {Total: 100 << 20, One: 40 << 20, Delay: 20 * time.Millisecond}} {
		for _, s := range scenarios {
			if l.Total > 0 && (s.timed.kind != "docker-save") {
				continue
			}
			rows, err := measure(ctx, dir, l, s, present, *rounds, chosen)
			if err != nil {
				return err
			}
			if rows == "" {
				continue
			}
			fmt.Fprintf(&b, "\n**%s**, %s\n\n| tool | time | × | CPU | peak memory | requests | MB sent |\n|---|---:|---:|---:|---:|---:|---:|\n%s", s.name, l, rows)
		}
	}
	b.WriteString("\n" + versions(ctx))
	fmt.Print(b.String())
	if *table == "" {
		return nil
	}
	return rewrite(*table, b.String())
}

// taken is what one push has cost.
type taken struct {
	wall, cpu time.Duration
	memory    int64 // bytes
	requests  int64
	sent      int64 // bytes
}

func measure(ctx context.Context, dir string, l link.Link, s scenario, present []tool, rounds int, chosen *regexp.Regexp) (string, error) {
	results, counts := map[string][]taken{}, map[string]taken{}
	shaped := l != (link.Link{})
	for round := range rounds {
		for _, t := range present {
			what := fmt.Sprintf("%s, %s: %s", s.name, l, t.name)
			if t.command(s.timed) == nil || !chosen.MatchString(what) {
				continue
			}
			if round == 0 {
				got, err := once(ctx, dir, l, s, t, true)
				if err != nil {
					return "", fmt.Errorf("%s: %w", what, err)
				}
				counts[t.name] = got
			}
			// On loopback the relay would take from the cores what the tools need.
			got, err := once(ctx, dir, l, s, t, shaped)
			if err != nil {
				return "", fmt.Errorf("%s: %w", what, err)
			}
			fmt.Fprintf(os.Stderr, "%d %s: %s\n", round+1, what, got.wall.Round(time.Millisecond))
			results[t.name] = append(results[t.name], got)
		}
	}
	var b strings.Builder
	ours := median(results["this action"], func(t taken) time.Duration { return t.wall })
	for _, t := range present {
		list := results[t.name]
		if len(list) == 0 {
			continue
		}
		wall := median(list, func(t taken) time.Duration { return t.wall })
		used := fmt.Sprintf("%.2f s | %d MB", median(list, func(t taken) time.Duration { return t.cpu }).Seconds(),
			median(list, func(t taken) int64 { return t.memory })/1e6)
		if t.name == docker {
			used = " | " // they are the engine's
		}
		fmt.Fprintf(&b, "| %s | %.2f s | %.1f | %s | %d | %.1f |\n", t.name, wall.Seconds(), float64(wall)/float64(ours), used,
			counts[t.name].requests, float64(counts[t.name].sent)/1e6)
	}
	return b.String(), nil
}

// load brings both images into the Docker engine and says what that takes.
func load(ctx context.Context, rounds int, first, next job) (string, error) {
	var took [3][]time.Duration
	for range rounds {
		_ = exec.CommandContext(ctx, "docker", "image", "rm", "--force", first.name, next.name).Run() // they may not be there
		for i, one := range []job{first, next, first} {
			began := time.Now()
			if out, err := exec.CommandContext(ctx, "docker", "load", "--quiet", "--input", one.image).CombinedOutput(); err != nil {
				return "", fmt.Errorf("docker load: %w: %s", err, out)
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	seconds := func(i int) float64 {
		return median(took[i], func(d time.Duration) time.Duration { return d }).Seconds()
	}
	return fmt.Sprintf(", which takes %.1f s, %.1f s when only the last layer is another and %.1f s when it has the image", seconds(0), seconds(1), seconds(2)), nil
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// once pushes to a registry of its own, over the link and past the relay that counts, or straight to it.
func once(ctx context.Context, dir string, l link.Link, s scenario, t tool, counted bool) (got taken, err error) {
	home := filepath.Join(dir, "registry")
	defer func() { err = errors.Join(err, os.RemoveAll(home)) }()
	kept := filepath.Join(dir, "kept", t.name, filepath.Base(s.before.image)) // what the tool has pushed before, for the next rounds
	again := s.before.image != "" && isDir(kept)
	if again {
		if err := os.CopyFS(home, os.DirFS(kept)); err != nil {
			return taken{}, err
		}
	}
	r, err := startRegistry(ctx, home, l)
	if err != nil {
		return taken{}, err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	if s.before.image != "" && !again {
		before := s.before
		before.host, before.tag = r.direct, "1"
		if out, err := exec.CommandContext(ctx, t.command(before)[0], t.command(before)[1:]...).CombinedOutput(); err != nil {
			return taken{}, fmt.Errorf("%w: %s", err, out)
		}
		if t.name != docker { // its engine remembers which registry has what
			if err := os.CopyFS(kept, os.DirFS(home)); err != nil {
				return taken{}, err
			}
		}
	}
	timed := s.timed
	timed.host, timed.tag = r.direct, "2"
	if counted {
		timed.host = r.relay.Host
	}
	if s.before.image == s.timed.image {
		timed.tag = "1"
	}
	if t.name == docker {
		defer func() {
			for _, tag := range []string{r.direct + "/app:1", timed.ref()} { // by which the engine would keep the images
				_ = exec.CommandContext(ctx, "docker", "image", "rm", tag).Run()
			}
		}()
	}
	args := t.command(timed)
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	r.relay.Reset()
	began := time.Now()
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Start(); err != nil {
		return taken{}, err
	}
	memory := peak(command.Process.Pid)
	err = command.Wait()
	got.wall = time.Since(began)
	if err != nil {
		return taken{}, fmt.Errorf("%w: %s", err, &out)
	}
	got.memory = memory()
	got.cpu = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	got.requests, got.sent = r.relay.Requests(), r.relay.Sent()
	return got, nil
}
