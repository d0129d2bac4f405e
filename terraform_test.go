//go:build terraform

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The module is checked without a network and without AWS: its own tests replace the provider's calls, not its schema.
func TestTerraformModule(t *testing.T) {
	plugins := os.Getenv("TERRAFORM_PLUGINS")
	if plugins == "" {
		t.Fatal("set TERRAFORM_PLUGINS to a folder that contains registry.terraform.io/hashicorp/aws, as terraform providers mirror makes it")
	}
	work := t.TempDir() // terraform init writes next to the sources
	for _, dir := range []string{"terraform", "examples/account"} {
		if err := os.CopyFS(filepath.Join(work, dir), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	}
	var workspace []string
	run := func(dir string, arguments ...string) {
		t.Helper()
		command := exec.CommandContext(t.Context(), "terraform", arguments...)
		command.Dir = filepath.Join(work, dir)
		command.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+os.DevNull, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1")
		command.Env = append(command.Env, workspace...)
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("terraform %s in %s: %v\n%s", strings.Join(arguments, " "), dir, err, out)
		}
	}
	run(".", "fmt", "-check", "-diff", "-recursive")
	run("terraform", "init", "-backend=false", "-plugin-dir="+plugins, "-no-color")
	run("terraform", "test", "-no-color")
	run("examples/account", "init", "-backend=false", "-plugin-dir="+plugins, "-no-color")
	run("examples/account", "validate", "-no-color")
	run("examples/account", "test", "-no-color")
	workspace = []string{"TF_WORKSPACE=prod"}
	run("examples/account", "test", "-test-directory=tests/prod", "-no-color")
}
