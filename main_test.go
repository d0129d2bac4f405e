package main

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/localaws/host"
	"github.com/org/atta-deploy-action/localaws/sample"
)

var (
	program string // the sample image's
	tools   string // those of the instances: docker, systemctl, aws
)

// TestMain makes this binary two programs: the tests, and the action itself under
// its own name on PATH.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"atta-deploy-action": main, "atta-deploy-action-post": main})
}

type suite struct{ *testing.M }

// Run builds what all tests share.
func (s suite) Run() int {
	dir, err := os.MkdirTemp("", "programs-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if tools, err = host.BuildStandins(context.Background(), dir); err != nil {
		log.Print(err)
		return 1
	}
	if program, err = sample.BuildProgram(context.Background(), dir); err != nil {
		log.Print(err)
		return 1
	}
	return s.M.Run()
}

// TestScripts runs the action as it is used from a shell.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			s := newStage(t)
			env.Values["stage"] = s
			env.Defer(s.close)
			env.Vars = append(append(env.Vars, s.aws.Env()...), "GORACE=atexit_sleep_ms=0",
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

// promised is what action.yml says.
func promised(t *testing.T) inputs.Definition {
	t.Helper()
	d, err := inputs.ParseDefinition(definition)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
