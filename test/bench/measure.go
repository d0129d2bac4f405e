package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/test/bench/link"
)

// cost is what one push took.
type cost struct {
	wall, cpu time.Duration
	memory    int64 // bytes
	requests  int64
	sent      int64 // bytes
}

func measureScenario(ctx context.Context, dir string, l link.Link, s scenario, present []tool, rounds int, chosen *regexp.Regexp) (string, error) {
	results, counts := map[string][]cost{}, map[string]cost{}
	shaped := l != (link.Link{})
	for round := range rounds {
		for _, t := range present {
			what := fmt.Sprintf("%s, %s: %s", s.name, l, t.name)
			if t.command(s.timed) == nil || !chosen.MatchString(what) {
				continue
			}
			if round == 0 {
				got, err := measureOnce(ctx, dir, l, s, t, true)
				if err != nil {
					return "", fmt.Errorf("%s: %w", what, err)
				}
				counts[t.name] = got
			}
			// On loopback the relay would use the cores that the tools need.
			got, err := measureOnce(ctx, dir, l, s, t, shaped)
			if err != nil {
				return "", fmt.Errorf("%s: %w", what, err)
			}
			fmt.Fprintf(os.Stderr, "%d %s: %s\n", round+1, what, got.wall.Round(time.Millisecond))
			results[t.name] = append(results[t.name], got)
		}
	}
	var b strings.Builder
	ours := median(results["this action"], func(t cost) time.Duration { return t.wall })
	for _, t := range present {
		list := results[t.name]
		if len(list) == 0 {
			continue
		}
		wall := median(list, func(t cost) time.Duration { return t.wall })
		used := fmt.Sprintf("%.2f s | %d MB", median(list, func(t cost) time.Duration { return t.cpu }).Seconds(),
			median(list, func(t cost) int64 { return t.memory })/1e6)
		if t.name == docker {
			used = " | " // the engine does the work
		}
		ratio := ""
		if ours > 0 { // 0 where -only leaves this action out
			ratio = fmt.Sprintf("%.1f", float64(wall)/float64(ours))
		}
		fmt.Fprintf(&b, "| %s | %.2f s | %s | %s | %d | %.1f |\n", t.name, wall.Seconds(), ratio, used,
			counts[t.name].requests, float64(counts[t.name].sent)/1e6)
	}
	return b.String(), nil
}

// measureOnce pushes to a fresh registry: through the relay, which counts and shapes the link, or directly.
func measureOnce(ctx context.Context, dir string, l link.Link, s scenario, t tool, counted bool) (got cost, err error) {
	home := filepath.Join(dir, "registry")
	defer func() { err = errors.Join(err, os.RemoveAll(home)) }()
	if s.before.image != "" {
		if err := prepareRegistry(ctx, dir, home, s.before, t); err != nil {
			return cost{}, err
		}
	}
	r, err := startRegistry(ctx, home, l)
	if err != nil {
		return cost{}, err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	timed := s.timed
	timed.host, timed.tag = r.direct, "2"
	if counted {
		timed.host = r.relay.Host
	}
	if s.before.image == s.timed.image {
		timed.tag = "1"
	}
	command, done, err := t.prepare(ctx, dir, timed)
	if err != nil {
		return cost{}, err
	}
	defer func() { err = errors.Join(err, done.stop()) }()
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	r.relay.Reset()
	began := time.Now()
	if err := command.Start(); err != nil {
		return cost{}, err
	}
	memory := watchMemory(command.Process.Pid)
	err = command.Wait()
	got.wall = time.Since(began)
	if err != nil {
		return cost{}, fmt.Errorf("%w: %s", err, &out)
	}
	got.memory = memory()
	got.cpu = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	got.requests, got.sent = r.relay.Requests(), r.relay.Sent()
	return got, nil
}

// prepareRegistry fills home with what a registry holds after t pushed one as tag 1, and keeps a copy for the next rounds.
func prepareRegistry(ctx context.Context, dir, home string, one job, t tool) error {
	kept := filepath.Join(dir, "kept", t.name, filepath.Base(one.image))
	if _, err := os.Stat(kept); err == nil {
		return os.CopyFS(home, os.DirFS(kept))
	}
	r, err := startRegistry(ctx, home, link.Link{})
	if err != nil {
		return err
	}
	one.host, one.tag = r.direct, "1"
	command, done, err := t.prepare(ctx, dir, one)
	if err == nil {
		var out []byte
		if out, err = command.CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		err = errors.Join(err, done.stop())
	}
	if err := errors.Join(err, r.stop()); err != nil {
		return err
	}
	return os.CopyFS(kept, os.DirFS(home))
}
