package deploy_test

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// Podman is the engine itself. What it mounts for a container would be seen in the unit only,
// and `podman ps` fails where a container's network namespace is not seen.
func TestBuiltInUnitsHaveNoMountNamespace(t *testing.T) {
	hidden := regexp.MustCompile(`(?m)^(Private(Tmp|Devices|Mounts|Network|Users)|Protect\w+|ReadOnly\w+|Inaccessible\w+|Bind\w+Paths|TemporaryFileSystem|MountFlags|Root\w+)=`)
	units, err := fs.Glob(deploy.Files, "systemd/*.service")
	if err != nil || len(units) != 2 {
		t.Fatalf("%v, %v", units, err)
	}
	for _, unit := range units {
		text, err := fs.ReadFile(deploy.Files, unit)
		if err != nil {
			t.Fatal(err)
		}
		if found := hidden.Find(text); found != nil {
			t.Errorf("%s sets %s", unit, found)
		}
	}
}

// journald drops lines of a unit that logs much, and systemd 252 takes 0 for unset:
// https://github.com/systemd/systemd/blob/v252/src/core/unit.c (unit_export_log_ratelimit_interval)
func TestNoLineOfTheBuiltInUnitsIsDropped(t *testing.T) {
	for _, name := range []string{"systemd/atta.service", "systemd/daemon.service"} {
		unit, err := deploy.Files.ReadFile(name)
		if err != nil || !strings.Contains(string(unit), "\nLogRateLimitIntervalSec=1us\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Docker's own files of logs grow without bound by default: https://docs.docker.com/engine/logging/drivers/json-file/
func TestTheLogsOfTheBuiltInUnitsAreBounded(t *testing.T) {
	for _, name := range []string{"systemd/atta.service", "systemd/daemon.service"} {
		unit, err := deploy.Files.ReadFile(name)
		if err != nil || !strings.Contains(string(unit), "--log-driver=json-file --log-opt=max-size=10m") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
