package bundle_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/test/tier"
)

// script builds a bundle with deploy/build_bundle.sh, and returns it and the script's output.
func script(t *testing.T, arguments ...string) ([]byte, string, error) {
	t.Helper()
	output := t.TempDir()
	program, err := filepath.Abs("../../deploy/build_bundle.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append(arguments, "--output="+output)...)
	cmd.Dir = t.TempDir()
	printed, err := cmd.CombinedOutput()
	if err != nil {
		return nil, string(printed), err
	}
	content, err := os.ReadFile(filepath.Join(output, "deploy-bundle-0.1.30-dev.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	return content, string(printed), nil
}

func TestBuildScriptBuildsTheIdenticalBundle(t *testing.T) {
	t.Parallel()
	trees := map[string][]own{"defaults": nil, "own": fixed, "modes": {
		{"run", "x", 0o700}, {"group only", "x", 0o654}, {"read only", "x", 0o444}, {"a/.hidden", "x", 0o777}, {"a.b", "", 0o600}, {"a-b", "", 0o644}, {"-x", "", 0o644}, {"tidy", "#!/bin/sh\n", 0o644},
	}, "long names": {
		{strings.Repeat("d/", 60) + "file", "x", 0o644}, {strings.Repeat("long-folder/", 10) + strings.Repeat("n", 90), "x", 0o644},
	}}
	// The length of the archive, a multiple of 512, is then just below or above a multiple of the length of a stored block.
	base := len(build(t, folder(t)).Content)
	sizes, modes := []int{196_608}, []string{"job"}
	if tier.Long {
		sizes, modes = []int{196_096, 196_608, 261_632, 262_144}, []string{"", "job", "service"}
	}
	for _, size := range sizes {
		for _, n := range []int{size - base - 512, size - base} {
			trees[fmt.Sprintf("a file of %d bytes", n)] = []own{{"big", strings.Repeat("0123456789abcdef", n/16+1)[:max(n, 0)], 0o644}}
		}
	}
	for name, files := range trees {
		same(t, name, "", files)
	}
	units := []own{{"systemd/atta.timer", "", 0o644}, {"systemd/atta-x.timer", "[Timer]\nUnit= atta-y.service \r\n", 0o644}, {"systemd/atta-y.service", job, 0o644}}
	for _, mode := range modes {
		same(t, "defaults, mode "+mode, mode, nil)
		same(t, "timers, mode "+mode, mode, units)
		same(t, "copies of the defaults, mode "+mode, mode, []own{{deploy.JobUnit, builtIn(t, deploy.JobUnit), 0o755}, {deploy.ServiceUnit, builtIn(t, deploy.ServiceUnit), 0o644}})
	}
	same(t, "an own job", "job", []own{{"systemd/atta.service", "[Service]\nType=simple\n Type\t= oneshot \r\n", 0o600}})
	same(t, "an own service", "service", fixed)
}

// same checks that the script and the package build the same bundle from a folder.
func same(t *testing.T, name, mode string, files []own) {
	t.Helper()
	dir := folder(t, files...)
	b, err := bundle.Build(dir, atta(t), mode)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	got, printed, err := script(t, "0.1.30-dev", "--path="+dir, "--mode="+mode)
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, printed)
	}
	if !bytes.Equal(got, b.Content) {
		t.Errorf("%s: the script builds other bytes (%d) than the package (%d)", name, len(got), len(b.Content))
	}
}

func TestBuildScriptRefusesWhatBuildRefuses(t *testing.T) {
	t.Parallel()
	linked := folder(t)
	if err := os.Symlink("/etc/passwd", filepath.Join(linked, "link")); err != nil {
		t.Fatal(err)
	}
	for want, arguments := range tier.Some(map[string][]string{
		"only regular files":   {"0.1.30-dev", "--path=" + linked},
		"setuid":               {"0.1.30-dev", "--path=" + folder(t, own{"su", "", 0o755 | os.ModeSetuid})},
		"settings and secrets": {"0.1.30-dev", "--path=" + folder(t, own{"sub/.env", "", 0o600})},
		"mode is job, but systemd/atta.service is a service": {"0.1.30-dev", "--mode=job", "--path=" + folder(t, fixed...)},
		"mode is service, but systemd/atta.service is a job": {"0.1.30-dev", "--mode=service", "--path=" + folder(t, own{"systemd/atta.service", job, 0o644})},
		"would not be installed":                             {"0.1.30-dev", "--path=" + folder(t, own{"systemd/web.service", job, 0o644})},
		"systemd/atta.service.d/limits.conf":                 {"0.1.30-dev", "--path=" + folder(t, own{"systemd/atta.service.d/limits.conf", "", 0o644})},
		"systemd/x/atta.service":                             {"0.1.30-dev", "--path=" + folder(t, own{"systemd/x/atta.service", job, 0o644})},
		"systemd/daemon.service":                             {"0.1.30-dev", "--path=" + folder(t, own{"systemd/daemon.service", job, 0o644})},
		"that is reserved for the deploy":                    {"0.1.30-dev", "--path=" + folder(t, own{"systemd/atta-recover.service", job, 0o644})},
		"systemd/atta-a.timer starts atta-a.service":         {"0.1.30-dev", "--path=" + folder(t, own{"systemd/atta-a.timer", "", 0o644})},
		"systemd/atta.timer starts atta-b.service":           {"0.1.30-dev", "--path=" + folder(t, own{"systemd/atta.timer", "[Timer]\nUnit=atta-b.service", 0o644})},
		"not a mode, job or service: daemon":                 {"0.1.30-dev", "--mode=daemon"},
		"a file name in a bundle":                            {"0.1.30-dev", "--path=" + folder(t, own{"odd\nname", "", 0o600})},
		"line ends of Windows (CR LF), with which a script":  {"0.1.30-dev", "--path=" + folder(t, own{"sub/tidy", "#!/bin/sh\r\n", 0o755})},
		"no such folder: nowhere":                            {"0.1.30-dev", "--path=nowhere"},
		"not a version like":                                 {"0.1.30"},
		"none given":                                         {},
		"give one version":                                   {"0.1.30-dev", "0.1.31-dev"},
		"unknown option: --speed=fast":                       {"0.1.30-dev", "--speed=fast"},
		"not a service name: Web":                            {"0.1.30-dev", "--service=Web"},
	}) {
		if _, printed, err := script(t, arguments...); err == nil || !strings.Contains(printed, want) {
			t.Errorf("%v: %v: %s", arguments, err, printed)
		}
	}
}

func TestBuildScriptReadsUnitsAsTheActionDoes(t *testing.T) {
	t.Parallel()
	units := map[string]string{
		"[Service]\nType=oneshot\n":                                 "job",
		"[Service]\n  Type = oneshot\t\r\n":                         "job",
		"[Service]\nType=\\\noneshot":                               "job",
		"[Service]\nType=\\\n# a comment\n\n; another\n  oneshot\n": "job",
		"[Service]\nType=oneshot\nType=\n":                          "job",
		"[Service]\nType=simple\n[Unit]\n[Service]\nType=oneshot\n": "job",
		"[Service]\nType=oneshot\\":                                 "job",
		"[Service]\nType=oneshot\nType=exec\n":                      "service",
		"[Service]\n;Type=oneshot\n":                                "service",
		"[Unit]\nType=oneshot\n[Service]\nExecStart=/bin/true\n":    "service",
		"[Service]\nExecStart=/bin/true \\\nType=oneshot\n":         "service",
		"[Service]\nExecStart=/bin/echo \\\\\nType=oneshot\n":       "job",
		"[Service]\nEnvironment=Type=oneshot\n":                     "service",
		"[X-Service]\nType=oneshot\n":                               "service",
		"[Service]\nType=oneshot\n[Timer]\nType=simple\nUnit=x.y\n": "job",
	}
	library, err := filepath.Abs("../../deploy/lib/unit_file.sh")
	if err != nil {
		t.Fatal(err)
	}
	arguments, wanted := []string{"-c", `source "$0"; for unit; do last_unit_value Service.Type "$unit"; [[ $REPLY == oneshot ]] && echo job || echo service; done`, library}, ""
	for text, want := range units {
		dir := folder(t, own{"systemd/atta.service", text, 0o644})
		arguments, wanted = append(arguments, filepath.Join(dir, "systemd", "atta.service")), wanted+want+"\n"
		for _, mode := range []string{"job", "service"} {
			if _, err := bundle.Build(dir, atta(t), mode); (err == nil) != (mode == want) {
				t.Errorf("%q as a %s: %v", text, mode, err)
			}
		}
	}
	if got, err := exec.Command("bash", arguments...).CombinedOutput(); err != nil || string(got) != wanted {
		t.Errorf("of the units %q the script reads\n%s, want\n%s, %v", arguments[3:], got, wanted, err)
	}
}
