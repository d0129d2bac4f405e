package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// plainParameters is the one line of a command that differs between two of them.
var plainParameters = regexp.MustCompile(`^set -- (deploy|status)( --[a-z0-9-]+=[A-Za-z0-9@:/._-]+)+$`)

func TestCommandTextDiffersOnlyInItsParameters(t *testing.T) {
	s := playWithScripts(t)
	const odd = `a'b"$(touch hacked);{{ssm:_x}} $$` + "`touch hacked`"
	s.build("0.1.0-dev")
	if err := os.Rename(filepath.Join(s.workspace, "image.tar"), filepath.Join(s.workspace, odd)); err != nil {
		t.Fatal(err)
	}
	s.file(odd+".d/notes.txt", odd)
	s.run("image="+odd, "bundle-path="+odd+".d", "role-session-name=a+b=c,d", "image-tags=latest-dev,latest-x", "GITHUB_ACTOR="+odd).wants("success")

	if len(s.scripts) != 2 {
		t.Fatalf("%d commands were sent, want status and deploy", len(s.scripts))
	}
	for _, script := range s.scripts {
		lines := strings.SplitN(script, "\n", 3)
		if lines[0] != "#!/bin/bash" || !plainParameters.MatchString(lines[1]) || strings.TrimSpace(lines[2]) != strings.TrimSpace(deploy.Bootstrap) {
			t.Errorf("the command begins with\n%s\n%s", lines[0], lines[1])
		}
		if strings.Contains(script, "hacked") {
			t.Errorf("an input is in the command:\n%s", lines[1])
		}
	}
	for _, folder := range []string{s.workspace, s.host.Root()} {
		if _, err := os.Stat(filepath.Join(folder, "hacked")); err == nil {
			t.Errorf("an input was executed in %s", folder)
		}
	}
	notes, err := os.ReadFile(s.host.Path("opt/atta/current/deploy/notes.txt"))
	if err != nil || string(notes) != odd {
		t.Errorf("the file in the folder of odd name arrived as %q, %v", notes, err)
	}
}
