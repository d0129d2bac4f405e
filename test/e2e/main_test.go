// Package e2e runs the action as a process, as the runner does, against a local AWS and a host.
package e2e

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/host"
	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/test/tier"
)

var (
	program string // the sample image's
	tools   string // those of the instances: docker, systemctl, aws
)

// TestMain builds the programs that all tests share and puts the action on PATH under
// both of its names.
func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

// slow are all but two of the tests whose instance runs the scripts, and the test of every operation.
var slow = []string{
	"TestCommandTextDiffersOnlyInItsParameters",
	"TestDeployInEveryPartition",
	"TestDeployWithOIDCRole",
	"TestDoctorChecksTheHost",
	"TestFailedDeployIsRolledBack",
	"TestIndexKeepsAllPlatforms",
	"TestKilledRunLeavesItsRecord",
	"TestLiveLogIsShownAsTextWhileTheInstanceWorks",
	"TestModuleGrantsWhatOperationsNeedAndNoMore",
	"TestOperationsRunTheScriptsOfTheirDocuments",
	"TestOutputOfAJobIsShownAsText",
	"TestSameVersionIsReusedWithoutRunningTheJobAgain",
	"TestSecretsAreNotDisclosed",
	"TestSettingsFromParameterStoreAreThoseOfTheRelease",
	"TestStatusReportsWhatRunsAndWhetherItIsInSync",
	"TestThreeJobsPassDigestAndChecksum",
}

func buildAndRun(m *testing.M) int {
	if err := tier.MarkSlow(slow...); err != nil {
		log.Print(err)
		return 1
	}
	dir, err := os.MkdirTemp("", "programs-")
	if err != nil {
		log.Print(err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := buildAction(dir); err != nil {
		log.Print(err)
		return 1
	}
	if tools, err = host.BuildStandins(context.Background(), dir); err != nil {
		log.Print(err)
		return 1
	}
	if program, err = sample.BuildProgram(context.Background(), dir); err != nil {
		log.Print(err)
		return 1
	}
	return m.Run()
}

// buildAction builds the action as the tests are built: with the race detector, or without.
func buildAction(dir string) error {
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	args := []string{"build", "-o", filepath.Join(bin, "atta-deploy-action")}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, ".")...)
	build.Dir, build.Stderr = "../..", os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the action: %w", err)
	}
	if err := os.Symlink("atta-deploy-action", filepath.Join(bin, "atta-deploy-action-post")); err != nil {
		return err
	}
	return os.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// TestScripts runs the action as it is used from a shell.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			s := newStage(t, true, localaws.Options{})
			env.Values["stage"] = s
			env.Defer(s.close)
			env.Vars = append(append(env.Vars, s.roleEnv(nil)...), "GORACE=atexit_sleep_ms=0",
				"REGISTRY="+s.aws.RegistryHost(), "INSTANCE="+instanceID, "HOST="+s.host.Root())
			return sample.SaveDockerArchive(filepath.Join(env.WorkDir, "image.tar"), s.sample("0.1.0-dev"), "atta:1")
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"nothing-sent": func(ts *testscript.TestScript, neg bool, _ []string) {
				calls := ts.Value("stage").(*stage).aws.Calls()
				if neg == (len(calls) == 0) {
					ts.Fatalf("%d requests reached AWS: %v", len(calls), calls)
				}
			},
			"stdout-names-every-input": func(ts *testscript.TestScript, _ bool, _ []string) {
				for _, input := range promised(t).Inputs {
					if !strings.Contains(ts.ReadFile("stdout"), "--"+input.Name) {
						ts.Fatalf("%s is not there", input.Name)
					}
				}
			},
		},
	})
}

// promised returns what action.yml defines.
func promised(t *testing.T) inputs.Definition {
	t.Helper()
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := inputs.ParseDefinition(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
