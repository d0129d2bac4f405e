package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
)

var fromLine = regexp.MustCompile(`(?m)^FROM (\S+)$`)

// baseImage returns the base image: that of the Dockerfile's last stage, which Dependabot updates, with its registry.
func (p publication) baseImage() (string, error) {
	if p.base != "" {
		return p.base, nil
	}
	dockerfile, err := os.ReadFile(filepath.Join(p.root, "Dockerfile"))
	if err != nil {
		return "", err
	}
	stages := fromLine.FindAllSubmatch(dockerfile, -1)
	if len(stages) == 0 {
		return "", errors.New("the Dockerfile has no last stage FROM an image")
	}
	base := string(stages[len(stages)-1][1])
	pinned, err := name.NewDigest(base)
	if err != nil {
		return "", fmt.Errorf("base image %q of the Dockerfile is not pinned by digest: %w", base, err)
	}
	return pinned.Name(), nil
}

// buildPrograms writes the files to add to the base image, in a folder for each architecture, and returns the parent folder.
func (p publication) buildPrograms(ctx context.Context) (string, error) {
	folder := filepath.Join(p.root, ".cache", "publish")
	if err := os.RemoveAll(folder); err != nil {
		return "", err
	}
	for _, platform := range p.platforms {
		system, arch, _ := strings.Cut(platform, "/")
		top := filepath.Join(folder, arch)
		if err := errors.Join(
			os.MkdirAll(top, 0o700),
			// Under this name the program runs as the post step.
			os.Symlink(program, filepath.Join(top, program+"-post")),
		); err != nil {
			return "", err
		}
		out, err := filepath.Abs(filepath.Join(top, program))
		if err != nil {
			return "", err
		}
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, ".")
		build.Dir = p.root
		// What the machine sets otherwise would change the program.
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch, "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0")
		if text, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build for %s: %w: %s", platform, err, text)
		}
	}
	return folder, nil
}

// serveRegistry serves an empty registry on loopback, in memory.
func serveRegistry(ctx context.Context) (host string, stop func() error, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("start registry: %w", err)
	}
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), server.Close, nil
}
