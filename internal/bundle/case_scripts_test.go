package bundle_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/bundle"
)

// Workflow artifacts lose the mode of a file: https://github.com/actions/download-artifact/issues/9
func TestCaseAScriptThatHasLostItsModeIsExecutable(t *testing.T) {
	t.Parallel()
	b := build(t, folder(t, own{"ec2_deploy.sh", "#!/bin/bash\n", 0o644}, own{"tidy", "#!/bin/sh\n", 0o644}, own{"note", "# !", 0o644}))
	for _, file := range unpack(t, b.Content) {
		if want := file.Name == "deploy/ec2_deploy.sh" || file.Name == "deploy/tidy"; want != (file.Mode == 0o755) {
			t.Errorf("%s has mode %o", file.Name, file.Mode)
		}
	}
}

// Git for Windows checks files out with CR LF: https://github.com/AcademySoftwareFoundation/OpenColorIO/pull/1139
func TestCaseScriptsWithTheLineEndsOfWindowsAreRefused(t *testing.T) {
	t.Parallel()
	_, err := bundle.Build(folder(t, own{"ec2_deploy.sh", "#!/bin/bash\r\necho\r\n", 0o755}, own{"lib.sh", "a=1\r\n", 0o644}, own{"docker.env", "A=1\r\n", 0o644}), atta(t), "")
	if err == nil || !strings.Contains(err.Error(), `"ec2_deploy.sh" has the line ends of Windows`) || !strings.Contains(err.Error(), `"lib.sh" has`) || strings.Contains(err.Error(), "docker.env") {
		t.Errorf("error is %v", err)
	}
}

// A script may unpack what follows it, such as the zip file of a Python program: https://docs.python.org/3/library/zipapp.html
func TestAnArchiveBehindAScriptHasNoLineEnds(t *testing.T) {
	t.Parallel()
	same(t, "an archive behind a script", "", []own{{"tool.pyz", "#!/usr/bin/env python3\nPK\x03\x04\x00\r\n\x00", 0o755}, {"install.sh", "#!/bin/sh\nexit\n\x00\r\n", 0o755}})
}
