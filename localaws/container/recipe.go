package container

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed image
var recipe embed.FS

// Recipe is what an instance is made of.
type Recipe struct {
	Name     string // of this kind of instance
	Suite    string // of Debian
	Packages string // of its container engine, separated by blanks
	Programs string // of an engine that Debian lacks, as `go install` takes them; its client is this machine's
}

// The instances that deploys are tried on: systemd 252 with AWS CLI 2, systemd 247 with
// AWS CLI 1, and systemd 252 with other engines. Docker 29 keeps images with containerd:
// https://docs.docker.com/engine/storage/containerd/
var (
	Bookworm = Recipe{Name: "bookworm", Suite: "bookworm", Packages: "docker.io"}
	Bullseye = Recipe{Name: "bullseye", Suite: "bullseye", Packages: "docker.io"}
	Docker29 = Recipe{Name: "docker-29", Suite: "bookworm", Packages: "runc",
		Programs: "github.com/moby/moby/v2/cmd/dockerd@v2.0.0-beta.24" +
			" github.com/moby/moby/v2/cmd/docker-proxy@v2.0.0-beta.24" +
			" github.com/containerd/containerd/v2/cmd/containerd@v2.2.9" +
			" github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2@v2.2.9"}
	Podman = Recipe{Name: "podman", Suite: "bookworm", Packages: "podman podman-docker crun netavark aardvark-dns catatonit"}
)

// Recipes are all of them.
var Recipes = []Recipe{Bookworm, Bullseye, Docker29, Podman}

// Build makes the image of an instance unless the engine has it, and returns its
// name. The first time takes about two minutes, and many more for an engine that is
// compiled.
func Build(ctx context.Context, r Recipe) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, r)
	dir, err := os.MkdirTemp("", "instance-image-")
	if err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	err = fs.WalkDir(recipe, "image", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := recipe.ReadFile(name)
		hash.Write(content)
		return errors.Join(err, os.WriteFile(filepath.Join(dir, entry.Name()), content, 0o755))
	})
	if err != nil {
		return "", fmt.Errorf("write recipe: %w", err)
	}
	tag := "atta-instance:" + r.Name + "-" + hex.EncodeToString(hash.Sum(nil))[:12]
	if _, err := docker(ctx, nil, "image", "inspect", tag); err == nil {
		return tag, nil
	}
	if r.Programs != "" {
		if err := installPrograms(ctx, filepath.Join(dir, "programs"), strings.Fields(r.Programs)); err != nil {
			return "", err
		}
	}
	build := exec.CommandContext(ctx, filepath.Join(dir, "build.sh"), append([]string{tag, r.Suite}, strings.Fields(r.Packages)...)...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build instance image: %w\n%s", err, out)
	}
	return tag, nil
}

// installPrograms compiles an engine and adds this machine's client to it.
func installPrograms(ctx context.Context, dir string, programs []string) error {
	client, err := findClient(ctx)
	if err != nil {
		return err
	}
	for _, program := range programs {
		install := exec.CommandContext(ctx, "go", "install", program)
		install.Env = append(os.Environ(), "GOBIN="+dir)
		if out, err := install.CombinedOutput(); err != nil {
			return fmt.Errorf("install %s: %w\n%s", program, err, out)
		}
	}
	content, err := os.ReadFile(client)
	if err != nil {
		return fmt.Errorf("read docker command: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "docker"), content, 0o755)
}

// findClient returns the path of a docker command that Docker 29 accepts.
// https://docs.docker.com/engine/release-notes/29/
func findClient(ctx context.Context) (string, error) {
	client, err := exec.LookPath("docker")
	if err != nil {
		return "", fmt.Errorf("find docker command: %w", err)
	}
	version, err := docker(ctx, nil, "version", "--format", "{{.Client.DefaultAPIVersion}}")
	if err != nil {
		return "", err
	}
	_, minor, _ := strings.Cut(version, ".")
	if number, err := strconv.Atoi(minor); err != nil || number < 44 {
		return "", fmt.Errorf("%s speaks API %s, and Docker 29 wants 1.44: use the client of Docker 25 or later", client, version)
	}
	return client, nil
}
