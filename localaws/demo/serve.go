package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"al.essio.dev/pkg/shellescape"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// serve offers the environment of the demo to other shells until it is interrupted.
func serve(ctx context.Context) error {
	s, err := newStage(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.prepareShell(); err != nil {
		return err
	}
	go s.followParameters(ctx)
	fmt.Printf(`
Instances of the service atta in the environment demo: %d. In another shell, in your repository or an empty folder:

  cp %s .
  %[3]s --version=0.1.0-demo --image=image.tar
  %[3]s --operation=status
  %[3]s --operation=rollback # after a second version

A program that stays up needs --mode=service; docs/instance.md says how to deploy one of your own. With
--settings-from=/atta/demo/, its settings are the lines KEY=value of %[5]s. A shell on the first
instance, in which systemctl, journalctl and the files below $ATTA_ROOT are its own:

  %[4]s

Ctrl-C ends this, and removes everything.
`, len(s.hosts), filepath.Join(s.folder, "image.tar"), s.commandPath(), shellescape.QuoteCommand([]string{"env", "ATTA_ROOT=" + s.hosts[0].Root(), "PATH=" + filepath.Join(filepath.Dir(s.hosts[0].Root()), "bin") + ":" + os.Getenv("PATH"), "bash"}), s.parametersFile())
	<-ctx.Done()
	return nil
}

func (s *stage) commandPath() string { return filepath.Join(s.folder, "action") }

// prepareShell writes an image of the sample job, and the action as a command: a script that sets the inputs of this
// environment, takes the others as flags, and names the file with the summary.
func (s *stage) prepareShell() error {
	image, err := sample.NewImage(filepath.Join(s.workspaceDir(), "app"))
	if err != nil {
		return err
	}
	if err := sample.SaveDockerArchive(filepath.Join(s.folder, "image.tar"), image, "atta:sample"); err != nil {
		return err
	}
	words := append([]string{"env", "GITHUB_REPOSITORY=org/atta", "INPUT_ECR-REPOSITORY=" + module.Repository}, s.actionEnv("deploy")...)
	summary := filepath.Join(s.folder, "summary.md")
	words = append(words, "GITHUB_STEP_SUMMARY="+summary, s.program)
	script := fmt.Sprintf("#!/bin/sh\nrm -f %[1]s\n%[2]s \"$@\"\ncode=$?\n[ ! -s %[1]s ] || echo The summary is in %[1]s\nexit $code\n", shellescape.Quote(summary), shellescape.QuoteCommand(words))
	if err := os.WriteFile(s.commandPath(), []byte(script), 0o755); err != nil {
		return fmt.Errorf("write command: %w", err)
	}
	return nil
}

func (s *stage) parametersFile() string { return filepath.Join(s.folder, "parameters.env") }

// followParameters keeps the emulated Parameter Store as the file says, until ctx ends.
func (s *stage) followParameters(ctx context.Context) {
	var names []string
	for ticker := time.NewTicker(200 * time.Millisecond); ctx.Err() == nil; <-ticker.C {
		names = s.readParameters(names)
	}
}

// readParameters sets a parameter for each line of the file, and removes those of earlier lines that are gone.
func (s *stage) readParameters(before []string) (names []string) {
	text, err := os.ReadFile(s.parametersFile())
	if err != nil {
		return before
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			names = append(names, "/atta/demo/"+key)
			s.aws.PutParameter(localaws.Parameter{Name: "/atta/demo/" + key, Value: value, Type: "SecureString"})
		}
	}
	for _, name := range before {
		if !slices.Contains(names, name) {
			s.aws.DeleteParameter(name)
		}
	}
	return names
}
