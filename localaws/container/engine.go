package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Engine makes sure of a Docker engine for this process: the one that answers, or
// one that is started in a separate folder, which needs root. stop ends what was
// started.
func Engine(ctx context.Context) (stop func() error, err error) {
	if _, err := docker(ctx, nil, "info"); err == nil {
		return func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "dockerd-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	socket := "unix://" + filepath.Join(dir, "docker.sock")
	engine := exec.Command("dockerd", "--host", socket, "--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	engine.Stdout, engine.Stderr = log, log
	if err := engine.Start(); err != nil {
		return nil, fmt.Errorf("start dockerd (Debian: docker.io): %w", err)
	}
	stop = func() error {
		err := engine.Process.Signal(syscall.SIGTERM)
		_ = engine.Wait()
		return errors.Join(err, log.Close(), os.RemoveAll(dir))
	}
	if err := os.Setenv("DOCKER_HOST", socket); err != nil {
		return nil, errors.Join(err, stop())
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if _, err := docker(ctx, nil, "info"); err == nil {
			return stop, nil
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(log.Name())
			return nil, errors.Join(fmt.Errorf("dockerd does not answer:\n%s", text), stop())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Gateway is the address of this machine that containers reach. An engine that has
// only just made its bridge does not name it, so the bridge itself is asked.
func Gateway(ctx context.Context) (string, error) {
	name, err := docker(ctx, nil, "network", "inspect", "bridge", "--format", `{{index .Options "com.docker.network.bridge.name"}}`)
	if err != nil {
		return "", err
	}
	bridge, err := net.InterfaceByName(name)
	if err != nil {
		return "", fmt.Errorf("find bridge %s: %w", name, err)
	}
	addresses, err := bridge.Addrs()
	if err != nil {
		return "", fmt.Errorf("read addresses of %s: %w", name, err)
	}
	for _, address := range addresses {
		if ip, ok := address.(*net.IPNet); ok && ip.IP.To4() != nil {
			return ip.IP.String(), nil
		}
	}
	return "", fmt.Errorf("bridge %s has no address", name)
}
