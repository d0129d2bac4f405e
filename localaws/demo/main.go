// Command demo deploys a sample image to ten simulated instances on this machine, with the
// real action and an emulated AWS: a first version, a broken version that the first wave
// stops, a fixed version with the live log of a slow instance, a status and a rollback. It needs Linux and Go, but no AWS account,
// no Docker and no root. With -serve, it only starts these instances, for the action in another shell.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/account"
	"github.com/org/atta-deploy-action/localaws/host"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// module names what the Terraform module would create in an account: each operation runs with its role and its document.
var module = account.Module{Service: "atta", Environment: "demo", Repository: "atta-demo", Bucket: "atta-demo-deploy-123456789012", LogGroup: "/deploy/atta-demo"}

var (
	instanceCount = flag.Int("instances", 10, "how many instances to deploy to")
	serveOnly     = flag.Bool("serve", false, "deploy nothing, and wait for deploys from another shell")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	run := runDemo
	if *serveOnly {
		run = serve
	}
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// stage is the environment of the demo.
type stage struct {
	folder   string
	program  string // the action's own
	logGroup string // empty: no live log
	aws      *localaws.Server
	hosts    []*host.Host
}

func runDemo(ctx context.Context) error {
	s, err := newStage(ctx)
	if err != nil {
		return err
	}
	defer s.close()

	printTitle(fmt.Sprintf("1. Deploy a first version to %d instances", *instanceCount))
	if err := s.deploy(ctx, "0.1.0-demo"); err != nil {
		return err
	}
	printFile("The job's output on the first instance, /opt/atta/output/greeting.txt", s.hosts[0].Path("opt/atta/output/greeting.txt"))

	printTitle("2. Deploy a broken version: the first wave fails and rolls back, the other instances are not touched")
	before, err := s.listFiles()
	if err != nil {
		return err
	}
	if err := s.deploy(ctx, broken, "EXIT_CODE=3"); err == nil {
		return errors.New("the broken version was deployed")
	}
	if err := s.checkUntouched(before); err != nil {
		return err
	}

	printTitle("3. Deploy a fixed version in three waves, with the live log of the instances, the last of which is slow")
	if err := s.slowDown(s.hosts[len(s.hosts)-1]); err != nil {
		return err
	}
	if err := s.deployWithLog(ctx, "0.1.2-demo"); err != nil {
		return err
	}
	printTitle("4. Check the status of every instance")
	if err := s.runAction(ctx, "status", "status", "INPUT_OPERATION=status", "INPUT_FAIL-ON-DRIFT=true"); err != nil {
		return err
	}
	printTitle("5. Roll back to the previous version")
	if err := s.runAction(ctx, "rollback", "rollback", "INPUT_OPERATION=rollback"); err != nil {
		return err
	}
	return s.checkAllRun("0.1.0-demo")
}

// broken is the version that every instance checks and the canary finds unhealthy.
const broken = "0.1.1-demo"

// listFiles lists every file of the service on each instance with its modification time, except
// the fencing generation, which a status command may raise, and those of the broken version, which
// each instance unpacks to check it.
func (s *stage) listFiles() ([]string, error) {
	var trees []string
	for _, h := range s.hosts {
		var tree strings.Builder
		err := filepath.WalkDir(h.Path("opt/atta"), func(path string, entry fs.DirEntry, err error) error {
			if entry != nil && entry.IsDir() && entry.Name() == broken {
				return fs.SkipDir
			}
			if err != nil || entry.IsDir() || entry.Name() == "generation" {
				return err
			}
			info, err := entry.Info()
			if err == nil {
				fmt.Fprintln(&tree, path, info.Size(), info.ModTime())
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		trees = append(trees, tree.String())
	}
	return trees, nil
}

// checkUntouched is an error unless exactly one instance, the canary, differs from before, and all
// run the first version.
func (s *stage) checkUntouched(before []string) error {
	after, err := s.listFiles()
	if err != nil {
		return err
	}
	same := 0
	for i := range after {
		if after[i] == before[i] {
			same++
		}
	}
	if same != *instanceCount-1 {
		return fmt.Errorf("%d of %d instances are unchanged, want all but one", same, *instanceCount)
	}
	fmt.Printf("\nVerified: no file of what runs changed on %d of %d instances.\n", same, *instanceCount)
	return s.checkAllRun("0.1.0-demo")
}

// checkAllRun is an error unless the current release of every instance is version.
func (s *stage) checkAllRun(version string) error {
	for _, h := range s.hosts {
		if current, err := os.Readlink(h.Path("opt/atta/current")); err != nil || filepath.Base(current) != version {
			return fmt.Errorf("an instance runs %q instead of %s: %w", current, version, err)
		}
	}
	return nil
}

func newStage(ctx context.Context) (_ *stage, err error) {
	s := &stage{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.folder, err = os.MkdirTemp("", "atta-demo-"); err != nil {
		return nil, err
	}
	s.program = filepath.Join(s.folder, "atta-deploy-action")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", s.program, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build action: %w\n%s", err, out)
	}
	if err := os.Mkdir(s.workspaceDir(), 0o755); err != nil {
		return nil, err
	}
	if _, err = sample.BuildProgram(ctx, s.workspaceDir()); err != nil {
		return nil, err
	}
	standins, err := host.BuildStandins(ctx, s.folder)
	if err != nil {
		return nil, err
	}
	if s.aws, err = localaws.Start(localaws.Options{Subject: "repo:org@1234567/atta@987654321:environment:demo"}); err != nil {
		return nil, err
	}
	if err := module.Create(s.aws); err != nil {
		return nil, err
	}
	for i := range *instanceCount {
		id := fmt.Sprintf("i-%017x", i)
		key := s.aws.RoleCredentials(module.RoleName("instance"), id)
		h, err := host.New(host.Options{
			Dir: filepath.Join(s.folder, fmt.Sprintf("instance-%d", i)), Endpoint: s.aws.URL(),
			AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken, AWSCLI: "standin", Standins: standins,
		})
		if err != nil {
			return nil, err
		}
		s.hosts = append(s.hosts, h)
		s.aws.AddInstance(localaws.Instance{
			ID: id, Name: fmt.Sprintf("demo-%d", i), Machine: h, Role: module.RoleName("instance"), Tags: map[string]string{"Environment": "demo", "Service": "atta"},
		})
	}
	return s, nil
}

func (s *stage) close() {
	if s.aws != nil {
		_ = s.aws.Close()
	}
	for _, h := range s.hosts {
		_ = h.Close()
	}
	_ = os.RemoveAll(s.folder)
}

// deploy runs the action as a workflow would: it makes an image of a program that an earlier
// step left in the workspace, and rolls it out.
func (s *stage) deploy(ctx context.Context, version string, settings ...string) error {
	return s.runAction(ctx, "deploy", version, "GITHUB_REF_TYPE=tag", "GITHUB_REF_NAME="+version,
		"INPUT_IMAGE=scratch", "INPUT_IMAGE-FILES=app:/app/", "INPUT_IMAGE-PLATFORMS=linux/"+runtime.GOARCH,
		`INPUT_IMAGE-ENTRYPOINT=["/app/app"]`, "INPUT_IMAGE-WORKDIR=/app",
		"INPUT_IMAGE-ENV="+strings.Join(append(settings, "VERSION="+version), "\n"),
		"INPUT_ECR-REPOSITORY="+module.Repository, "INPUT_WAVES=1, 50%, 100%", "INPUT_LOG-GROUP="+s.logGroup)
}

// slowDown makes the job take some seconds on one instance, by the settings that it has there.
func (s *stage) slowDown(h *host.Host) error {
	return os.WriteFile(h.Path("opt", "atta", ".env"), []byte("SLEEP=6s\n"), 0o600)
}

// deployWithLog deploys from a registry that takes its time for each layer.
func (s *stage) deployWithLog(ctx context.Context, version string) error {
	s.logGroup = module.LogGroup
	s.aws.AddFault(localaws.Fault{Operation: "registry:GET blob", Delay: time.Second})
	defer s.aws.ClearFaults()
	return s.deploy(ctx, version)
}

func (s *stage) workspaceDir() string { return filepath.Join(s.folder, "workspace") }

// runAction runs the action as a workflow step with the role of an operation, and its inputs in the environment.
func (s *stage) runAction(ctx context.Context, operation, step string, env ...string) error {
	outputs, summary := filepath.Join(s.folder, step+".outputs"), filepath.Join(s.folder, step+".md")
	for _, file := range []string{outputs, summary} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			return err
		}
	}
	action := exec.CommandContext(ctx, s.program)
	action.Dir = s.workspaceDir()
	log := &logView{to: os.Stdout}
	action.Stdout, action.Stderr = log, log
	action.Env = slices.Concat([]string{
		"PATH=" + os.Getenv("PATH"),
		"GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=org/atta", "GITHUB_WORKSPACE=" + s.workspaceDir(),
		"GITHUB_OUTPUT=" + outputs, "GITHUB_STEP_SUMMARY=" + summary,
	}, s.actionEnv(operation), env)
	problem := action.Run()
	printFile("Step summary", summary)
	if problem == nil {
		printOutputs(outputs)
	}
	return problem
}

// actionEnv returns the inputs of the demo's environment, with the role of an operation, and how to reach the emulated AWS.
func (s *stage) actionEnv(operation string) []string {
	return append([]string{
		"AWS_ENDPOINT_URL=" + s.aws.URL(),
		"INPUT_ENVIRONMENT=demo", "INPUT_AWS-REGION=us-east-1", "INPUT_ECR-REGISTRY=" + s.aws.RegistryHost(),
		"INPUT_ROLE-TO-ASSUME=arn:aws:iam::123456789012:role/" + module.RoleName(operation), "INPUT_DOCUMENT-NAME=" + module.DocumentName(operation),
		"INPUT_DEPLOY-BUCKET=" + module.Bucket, "INPUT_TARGET-TAGS=Environment=demo\nService=atta",
	}, s.aws.OIDCEnv()...)
}
