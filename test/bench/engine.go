package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// engine is a Docker engine with one image and no memory of earlier pushes, as on a fresh runner.
type engine struct {
	host   string // for DOCKER_HOST
	loaded time.Duration
	stop   func() error
}

// startEngine needs root, and Debian's docker.io.
func startEngine(ctx context.Context, dir string, one job) (*engine, error) {
	home, err := os.MkdirTemp(dir, "engine-")
	if err != nil {
		return nil, err
	}
	e := &engine{host: "unix://" + filepath.Join(home, "docker.sock")}
	daemon := exec.CommandContext(ctx, "dockerd", "--host", e.host, "--data-root", filepath.Join(home, "data"),
		"--exec-root", filepath.Join(home, "exec"), "--pidfile", filepath.Join(home, "pid"), "--bridge=none", "--iptables=false")
	daemon.Cancel = func() error { return daemon.Process.Signal(syscall.SIGTERM) }
	if err := daemon.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", errNoEngine, err), os.RemoveAll(home))
	}
	e.stop = func() error {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_ = daemon.Wait()
		return os.RemoveAll(home)
	}
	if err := e.waitUntilReady(ctx); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	began := time.Now()
	if out, err := e.command(ctx, "docker", "load", "--quiet", "--input", one.image).CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("docker load: %w: %s", err, out), e.stop())
	}
	e.loaded = time.Since(began)
	return e, nil
}

var errNoEngine = errors.New("no Docker engine can be started")

func (e *engine) waitUntilReady(ctx context.Context) error {
	for range 100 {
		if e.command(ctx, "docker", "info").Run() == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("%w: it does not answer", errNoEngine)
}

func (e *engine) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(os.Environ(), "DOCKER_HOST="+e.host)
	return command
}
