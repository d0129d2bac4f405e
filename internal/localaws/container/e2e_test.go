//go:build e2e

package container_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/localaws"
	"github.com/org/atta-deploy-action/internal/localaws/container"
	"github.com/org/atta-deploy-action/internal/localaws/sample"
)

const instanceID = "i-0123456789abcdef0"

// site is the action's program and an instance to deploy to.
type site struct {
	t        *testing.T
	folder   string
	program  string
	app      string
	aws      *localaws.Server
	instance *container.Container
}

func newSite(t *testing.T) *site {
	t.Helper()
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	stop, err := container.Engine(ctx)
	check(err)
	t.Cleanup(func() { check(stop()) })
	image, err := container.Build(ctx)
	check(err)
	gateway, err := container.Gateway(ctx)
	check(err)
	s := &site{t: t, folder: t.TempDir()}
	s.program = filepath.Join(s.folder, "atta-deploy-action")
	if out, err := exec.Command("go", "build", "-o", s.program, "../../..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.app, err = sample.Build(ctx, s.folder)
	check(err)
	s.aws, err = localaws.Start(localaws.Options{Listen: gateway})
	check(err)
	t.Cleanup(func() { check(s.aws.Close()) })
	s.aws.CreateRepository("atta", "IMMUTABLE_WITH_EXCLUSION")
	s.aws.CreateBucket("atta-deploy-artifacts")
	key, err := s.aws.Config().Credentials.Retrieve(ctx)
	check(err)
	s.instance, err = container.Start(ctx, image, container.Options{
		Name: fmt.Sprintf("atta-e2e-%d", os.Getpid()), Endpoint: s.aws.URL(), AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey,
	})
	check(err)
	t.Cleanup(func() { check(s.instance.Close()) })
	s.aws.AddInstance(localaws.Instance{ID: instanceID, Name: "e2e", Machine: s.instance})
	return s
}

// deploy runs the action and returns its log and its outputs.
func (s *site) deploy(version string, opts ...sample.Option) (log string, outputs map[string]string, err error) {
	s.t.Helper()
	image, err := sample.Image(s.app, append(opts, sample.Version(version))...)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := sample.SaveOCIArchive(filepath.Join(s.folder, "image.tar"), image); err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.folder, version+".outputs")
	action := exec.Command(s.program, "--environment=dev", "--version="+version, "--service=atta", "--image=image.tar",
		"--aws-region=us-east-1", "--ecr-registry="+s.aws.RegistryHost(), "--ecr-repository=atta",
		"--deploy-bucket=atta-deploy-artifacts", "--instance-ids="+instanceID)
	action.Dir = s.folder
	action.Env = append(s.aws.Env(), "PATH=/nowhere", "GITHUB_OUTPUT="+file)
	text, err := action.CombinedOutput()
	written, _ := os.ReadFile(file)
	outputs = map[string]string{}
	for _, found := range regexp.MustCompile(`(?m)^([a-z0-9-]+)<<\S+\n(.*)\n`).FindAllSubmatch(written, -1) {
		outputs[string(found[1])] = string(found[2])
	}
	return string(text), outputs, err
}

// sh runs a command on the instance and returns what it prints.
func (s *site) sh(command string) string {
	s.t.Helper()
	exit := s.instance.Run(context.WithoutCancel(s.t.Context()), "#!/bin/bash\n"+command, nil)
	if exit.Code != 0 {
		s.t.Fatalf("%s: exit %d\n%s%s", command, exit.Code, exit.Stdout, exit.Stderr)
	}
	return string(bytes.TrimSpace(exit.Stdout))
}

func (s *site) want(version, command, want string) {
	s.t.Helper()
	if got := s.sh(command); !strings.Contains(got, want) {
		s.t.Errorf("after %s, %s: got %q, want %q", version, command, got, want)
	}
}

func TestE2EADeployOnRealSystemdAndDocker(t *testing.T) {
	s := newSite(t)
	for i, version := range []string{"0.1.0-dev", "0.1.1-dev"} {
		log, outputs, err := s.deploy(version)
		if err != nil || outputs["status"] != "success" {
			t.Fatalf("deploy %s: %v, %v\n%s", version, err, outputs, log)
		}
		if want := []string{"", "0.1.0-dev"}[i]; outputs["previous-version"] != want {
			t.Errorf("previous-version is %q, want %q", outputs["previous-version"], want)
		}
		s.want(version, "cat /opt/atta/output/greeting.txt", "hello from "+version)
		s.want(version, "docker image inspect --format '{{.RepoDigests}}' "+outputs["image-uri"], outputs["image-digest"])
		s.want(version, "systemctl show --property=Result,ActiveState,UnitFileState atta", "Result=success\nActiveState=inactive\nUnitFileState=enabled")
		s.want(version, "journalctl --unit=atta --output=cat", "sample "+version)
		s.want(version, "stat --format=%a /opt/atta/.env", "600")
	}

	before := s.sh("sha256sum /etc/systemd/system/atta.service; readlink /opt/atta/current; docker images --digests --no-trunc")
	log, outputs, err := s.deploy("0.1.2-dev", sample.ExitCode(194))
	if err == nil || outputs["status"] != "rolled-back" || !strings.Contains(log, "exit status 194") {
		t.Fatalf("broken version: %v, %v\n%s", err, outputs, log)
	}
	if n := s.aws.Reboots(instanceID); n != 0 {
		t.Errorf("the instance was rebooted %d times", n)
	}
	s.want("the way back", "sha256sum /etc/systemd/system/atta.service; readlink /opt/atta/current", strings.Join(strings.SplitN(before, "\n", 3)[:2], "\n"))

	run := s.sh("systemctl show --property=InvocationID,ExecMainStartTimestamp atta")
	if log, outputs, err = s.deploy("0.1.1-dev"); err != nil || outputs["image-pushed"] != "false" {
		t.Errorf("the same again: %v, %v\n%s", err, outputs, log)
	}
	s.want("the same again", "systemctl show --property=InvocationID,ExecMainStartTimestamp atta", run)

	if err := s.instance.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want("a reboot", "systemctl start atta; journalctl --boot --unit=atta --output=cat", "sample 0.1.1-dev")
}
