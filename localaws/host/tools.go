package host

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// BuildStandins compiles a program for Options.Tools into dir, the demo's, and returns
// its path. A test binary built with -race starts four times as slowly, and a deploy
// starts the tools forty times. The working directory must be in the module.
func BuildStandins(ctx context.Context, dir string) (string, error) {
	tools := filepath.Join(dir, "tools")
	build := exec.CommandContext(ctx, "go", "build", "-o", tools, "github.com/org/atta-deploy-action/localaws/demo")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build tools: %w\n%s", err, out)
	}
	return tools, nil
}
