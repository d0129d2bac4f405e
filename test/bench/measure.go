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
		ratio := ""
		if ours > 0 { // it may not be among those that are chosen
			ratio = fmt.Sprintf("%.1f", float64(wall)/float64(ours))
		}
		fmt.Fprintf(&b, "| %s | %.2f s | %s | %s | %d | %.1f |\n", t.name, wall.Seconds(), ratio, used,
			counts[t.name].requests, float64(counts[t.name].sent)/1e6)
	}
	return b.String(), nil
}

// once pushes to a registry of its own, over the link and past the relay that counts, or straight to it.
func once(ctx context.Context, dir string, l link.Link, s scenario, t tool, counted bool) (got taken, err error) {
	home := filepath.Join(dir, "registry")
	defer func() { err = errors.Join(err, os.RemoveAll(home)) }()
	if s.before.image != "" {
		if err := before(ctx, dir, home, s.before, t); err != nil {
			return taken{}, err
		}
	}
	r, err := startRegistry(ctx, home, l)
	if err != nil {
		return taken{}, err
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
	command, done, err := t.ready(ctx, dir, timed)
	if err != nil {
		return taken{}, err
	}
	defer func() { err = errors.Join(err, done.stop()) }()
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	r.relay.Reset()
	began := time.Now()
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

// before makes home what a registry holds after t has pushed one as the tag 1; for the next rounds it is kept.
func before(ctx context.Context, dir, home string, one job, t tool) error {
	kept := filepath.Join(dir, "kept", t.name, filepath.Base(one.image))
	if _, err := os.Stat(kept); err == nil {
		return os.CopyFS(home, os.DirFS(kept))
	}
	r, err := startRegistry(ctx, home, link.Link{})
	if err != nil {
		return err
	}
	one.host, one.tag = r.direct, "1"
	command, done, err := t.ready(ctx, dir, one)
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
