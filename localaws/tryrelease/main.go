// Command tryrelease (make try-release) deploys with a released action as another repository would: act runs the tag's
// deploy.yml, which names the action by commit, which names the image by digest, against an emulated AWS and one simulated
// instance. It needs Linux, Go, act and Docker, or root and Debian's docker.io.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/org/atta-deploy-action/localaws/container"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	version := flag.String("version", "", "version to try, whose tag v1.2.3 this clone has")
	act := flag.String("act", "act", "path of act")
	flag.Parse()
	err := tryRelease(ctx, *version, *act)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tryrelease:", err)
		os.Exit(1)
	}
}

// tryRelease deploys with the released action and checks what ran.
func tryRelease(ctx context.Context, version, act string) (err error) {
	folder, err := os.MkdirTemp("", "tryrelease-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	stopEngine, err := container.Engine(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopEngine()) }()
	r, err := checkOut(ctx, version, folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.remove()) }()
	t, err := newTarget(ctx, folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := r.pull(ctx, folder); err != nil {
		return err
	}
	log, err := r.deploy(ctx, act, folder, t)
	if err != nil {
		return err
	}
	if !strings.Contains(log, "docker run image="+r.image) {
		return fmt.Errorf("another image than %s, that of v%s, was run", r.image, version)
	}
	return t.checkDeployed()
}

// release is a released action, checked out as GitHub would do it.
type release struct {
	version string
	commit  string // which deploy.yml of the tag names
	image   string // which action.yml of the commit names
	folder  string // has a worktree of the tag and one of the commit
}

func (r release) tagFolder() string    { return filepath.Join(r.folder, "tag") }
func (r release) commitFolder() string { return filepath.Join(r.folder, "commit") }

// checkOut checks out the tag and its parent, the commit that sets the image (.ci/commit_release).
func checkOut(ctx context.Context, version, folder string) (r release, err error) {
	r = release{version: version, folder: folder}
	for revision, path := range map[string]string{"v" + version: r.tagFolder(), "v" + version + "~": r.commitFolder()} {
		if _, err := commandOutput(ctx, ".", "git", "worktree", "add", "--force", "--detach", path, revision); err != nil {
			return release{}, errors.Join(err, r.remove())
		}
	}
	if r.commit, err = commandOutput(ctx, r.commitFolder(), "git", "rev-parse", "HEAD"); err != nil {
		return release{}, errors.Join(err, r.remove())
	}
	if r.image, err = commandOutput(ctx, r.commitFolder(), "sed", "--quiet", "s|^  image: docker://||p", "action.yml"); err != nil || r.image == "" {
		return release{}, errors.Join(fmt.Errorf("the action.yml of v%s names no published image", version), err, r.remove())
	}
	return r, nil
}

// remove removes the worktrees.
func (r release) remove() (err error) {
	for _, path := range []string{r.tagFolder(), r.commitFolder()} {
		if _, missing := os.Stat(path); missing != nil {
			continue
		}
		_, problem := commandOutput(context.Background(), ".", "git", "worktree", "remove", "--force", path)
		err = errors.Join(err, problem)
	}
	return err
}

// pull pulls the image as runners of other users do, without a login.
func (r release) pull(ctx context.Context, folder string) error {
	_, err := commandOutput(ctx, ".", "docker", "--config", filepath.Join(folder, "no-login"), "pull", "--quiet", r.image)
	return err
}

// commandOutput returns the output of a command without surrounding space.
func commandOutput(ctx context.Context, dir, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = dir
	var problem strings.Builder
	command.Stderr = &problem
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(problem.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
