package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/org/atta-deploy-action/test/bench/link"
)

// registry is a docker-registry behind a relay that counts.
type registry struct {
	direct string // its host
	relay  *link.Relay
	stop   func() error
}

// startRegistry serves what is in the folder home, which may be missing.
func startRegistry(ctx context.Context, home string, l link.Link) (*registry, error) {
	free, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	host := free.Addr().String()
	if err := free.Close(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(home, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", filepath.Join(home, "data"), host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	server := exec.CommandContext(ctx, "docker-registry", "serve", config)
	if err := server.Start(); err != nil {
		return nil, err
	}
	end := func() error {
		err := server.Process.Kill()
		_ = server.Wait()
		return err
	}
	if err := waitUntilReady(ctx, host); err != nil {
		return nil, errors.Join(fmt.Errorf("docker-registry does not answer: %w", err), end())
	}
	relay, err := l.To(ctx, host)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return &registry{direct: host, relay: relay, stop: func() error { return errors.Join(relay.Close(), end()) }}, nil
}

// waitUntilReady waits until something listens at host.
func waitUntilReady(ctx context.Context, host string) error {
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
