//go:build long

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCommandDeploysFromAnotherFolder(t *testing.T) {
	t.Chdir("../..") // where make runs it
	*instanceCount = 1
	s, err := newStage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.prepareShell(); err != nil {
		t.Fatal(err)
	}
	repository := t.TempDir()
	if err := os.Link(filepath.Join(s.folder, "image.tar"), filepath.Join(repository, "image.tar")); err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Abs("examples/batch/deploy")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(repository, "deploy"), os.DirFS(examples)); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(s.parametersFile(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("OLD=x\nGREETING=hi\n")
	names := s.readParameters(nil)
	write("GREETING=good day\n")
	if names = s.readParameters(names); len(names) != 1 {
		t.Errorf("parameters %q", names)
	}
	for _, flags := range [][]string{{"--version=0.1.0-demo", "--image=image.tar", "--settings-from=/atta/demo/"}, {"--operation=status", "--fail-on-drift=true"}} {
		action := exec.CommandContext(t.Context(), s.commandPath(), flags...)
		action.Dir = repository
		if out, err := action.CombinedOutput(); err != nil || !strings.Contains(string(out), "\nThe summary is in "+s.folder) {
			t.Fatalf("%s: %v\n%s", flags, err, out)
		}
	}
	if err := s.checkAllRun("0.1.0-demo"); err != nil {
		t.Error(err)
	}
	settings, err := os.ReadFile(s.hosts[0].Path("opt/atta/current/settings.env"))
	if err != nil || !strings.Contains(string(settings), "GREETING=good day\n") || strings.Contains(string(settings), "OLD=") {
		t.Errorf("%v: %s", err, settings)
	}
}
