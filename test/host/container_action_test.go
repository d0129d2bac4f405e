//go:build e2e

package host_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
)

const instanceID = "i-0123456789abcdef0"

// site is the action's program and an instance to deploy to.
type site struct {
	guest
	folder string
}

func newSite(t *testing.T) site {
	t.Helper()
	s := site{boot(t), t.TempDir()}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(s.folder, "atta-deploy-action"), "../..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := sample.BuildProgram(t.Context(), s.folder); err != nil {
		t.Fatal(err)
	}
	cloud.AddInstance(localaws.Instance{ID: instanceID, Name: "e2e", Machine: s.Container})
	return s
}

// deploy runs the action, which makes the image of the program, and returns its log and its outputs.
func (s site) deploy(version string, variables ...string) (log string, outputs map[string]string, err error) {
	s.t.Helper()
	return s.runAction(version, variables)
}

func (s site) runAction(version string, variables []string, flags ...string) (log string, outputs map[string]string, err error) {
	s.t.Helper()
	file := filepath.Join(s.folder, version+".outputs")
	_ = os.Remove(file)
	args := []string{"--environment=dev", "--service=atta", "--aws-region=us-east-1", "--ecr-registry=" + cloud.RegistryHost(), "--ecr-repository=" + s.name,
		"--deploy-bucket=" + s.name, "--instance-ids=" + instanceID}
	if version != "" {
		args = append(args, "--version="+version, "--image=scratch", "--image-files=app:/app/", "--image-platforms=linux/"+runtime.GOARCH, `--image-entrypoint=["/app/app"]`,
			"--image-workdir=/app", "--image-env="+strings.Join(append(variables, "VERSION="+version), "\n"))
	}
	action := exec.Command(filepath.Join(s.folder, "atta-deploy-action"), append(args, flags...)...)
	action.Dir = s.folder
	action.Env = append(cloud.Env(), "PATH=/nowhere", "GITHUB_OUTPUT="+file)
	text, err := action.CombinedOutput()
	written, _ := os.ReadFile(file)
	outputs = map[string]string{}
	for _, found := range regexp.MustCompile(`(?m)^([a-z0-9-]+)<<\S+\n(.*)\n`).FindAllSubmatch(written, -1) {
		outputs[string(found[1])] = string(found[2])
	}
	return string(text), outputs, err
}

func TestE2EADeployOnRealSystemdAndDocker(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i, version := range []string{"0.1.0-dev", "0.1.1-dev"} {
		log, outputs, err := s.deploy(version)
		if err != nil || outputs["status"] != "success" {
			t.Fatalf("deploy %s: %v, %v\n%s", version, err, outputs, log)
		}
		if want := []string{"", "0.1.0-dev"}[i]; outputs["previous-version"] != want {
			t.Errorf("previous-version is %q, want %q", outputs["previous-version"], want)
		}
		s.want("cat /opt/atta/output/greeting.txt", "hello from "+version)
		s.want("docker image inspect --format '{{index .RepoDigests 0}}' "+outputs["image-uri"], strings.Split(outputs["image-uri"], "@")[0]+"@"+outputs["image-digest"])
		s.want("systemctl show --property=Result,ActiveState,UnitFileState atta | sort", "ActiveState=inactive\nResult=success\nUnitFileState=enabled")
		s.want("journalctl --unit=atta --output=cat | grep ^sample | tail -n 1", "sample "+version)
		s.want("stat --format=%a /opt/atta/.env", "600")
	}

	before := s.snapshot()
	log, outputs, err := s.deploy("0.1.2-dev", "EXIT_CODE=194")
	if err == nil || outputs["status"] != "rolled-back" || !strings.Contains(log, "exit status 194") {
		t.Fatalf("broken version: %v, %v\n%s", err, outputs, log)
	}
	if n := cloud.Reboots(instanceID); n != 0 {
		t.Errorf("the instance was rebooted %d times", n)
	}
	s.same(before, s.snapshot())

	run := s.invocation()
	if log, outputs, err = s.deploy("0.1.1-dev"); err != nil || outputs["image-pushed"] != "false" {
		t.Errorf("the same again: %v, %v\n%s", err, outputs, log)
	}
	s.want("systemctl show --property=InvocationID atta", run)

	s.output("rm /opt/atta/output/greeting.txt")
	if err := s.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want("cat /opt/atta/output/greeting.txt", "hello from 0.1.1-dev")
}
