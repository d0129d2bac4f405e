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

	"github.com/org/atta-deploy-action/internal/image/bench/link"
)

// registry is a docker-registry with a relay before it that counts.
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
	waiting, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	for {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", host); err == nil {
			_ = conn.Close()
			break
		}
		select {
		case <-waiting.Done():
			return nil, errors.Join(errors.New("docker-registry does not answer"), server.Process.Kill())
		case <-time.After(10 * time.Millisecond):
		}
	}
	relay, err := l.To(ctx, host)
	if err != nil {
		return nil, err
	}
	r := &registry{direct: host, relay: relay}
	r.stop = func() error {
		err := errors.Join(relay.Close(), server.Process.Kill())
		_ = server.Wait()
		return err
	}
	return r, nil
}
