// Package sample makes a container image out of a small static Go program,
// without Docker, and saves it in every form the action takes. It knows
// nothing of registries.
package sample

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// app is the import path of the program in the image.
const app = "github.com/org/atta-deploy-action/localaws/sample/app"

// BuildProgram compiles the program for this machine into dir and returns its path.
// It calls the go command, so the working directory must be in the module.
func BuildProgram(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "app")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", program, app)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", app, err, out)
	}
	return program, nil
}
