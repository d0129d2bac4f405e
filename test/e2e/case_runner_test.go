package e2e

import (
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
)

// A container action is root, and what it leaves in the workspace of a self-hosted runner the next checkout cannot delete:
// https://github.com/actions/runner/issues/434
func TestCaseNothingIsLeftInTheWorkspace(t *testing.T) {
	s := play(t)
	home, temp := filepath.Join(s.workspace, "_temp", "_github_home"), filepath.Join(s.workspace, "_temp")
	write(t, filepath.Join(home, "kept"), "")
	s.build("0.1.0-dev")
	before := filesIn(t, s.workspace)
	settings := []string{"HOME=" + home, "RUNNER_TEMP=" + temp}
	p := s.step(settings...)
	p.run().wants("success")
	p.after().run()
	s.run(append(settings, "operation=doctor")...)
	s.run(append(settings, "image="+s.aws.RegistryHost()+"/atta:0.1.0-dev", "version=0.1.1-dev")...)
	if after := filesIn(t, s.workspace); !slices.Equal(before, after) {
		t.Errorf("there were %q, and now %q", before, after)
	}
}

// filesIn lists all files and folders below a folder.
func filesIn(t *testing.T, folder string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		list = append(list, path+" "+info.Mode().String()+" "+info.ModTime().String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
