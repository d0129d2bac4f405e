package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/org/atta-deploy-action/localaws/standins"
	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// BuildStandins compiles the stand-ins into a new folder below dir and returns it, for
// Options.Standins. A deploy starts them some forty times, so they are small programs. The
// working directory must be in the module.
func BuildStandins(ctx context.Context, dir string) (string, error) {
	folder := filepath.Join(dir, "standins")
	for _, build := range []struct{ name, tags string }{{instance.OfflineProgram, "offline"}, {instance.NetworkProgram, ""}} {
		cmd := exec.CommandContext(ctx, "go", "build", "-tags", build.tags, "-ldflags=-s -w", "-o", filepath.Join(folder, build.name),
			"github.com/org/atta-deploy-action/localaws/standins/program")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // a static program starts faster
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", build.name, err, out)
		}
	}
	return folder, nil
}

// installStandins puts the commands on the instance's PATH.
func (o Options) installStandins(dir string) error {
	if o.Standins == "" {
		return errors.New("Options.Standins is empty: build them with BuildStandins")
	}
	for _, name := range standins.Commands {
		path := filepath.Join(dir, "bin", name)
		var err error
		if name == "aws" {
			err = writeProgram(path, o.awsWrapper(dir, path))
		} else {
			err = os.Symlink(filepath.Join(o.Standins, instance.OfflineProgram), path)
		}
		if err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("install %s: %w", name, err)
		}
	}
	return nil
}

// writeProgram writes a file that is executed. A fork in between would inherit
// the open file and make execve answer ETXTBSY: https://go.dev/issue/22315
func writeProgram(path, text string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	err := os.WriteFile(path, []byte(text), 0o700)
	return errors.Join(err, os.Chmod(path, 0o700))
}
