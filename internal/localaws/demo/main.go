// Command demo deploys a sample image to an instance on this machine, with the
// action's own program and a loopback AWS: a first version, a second one, and a
// broken one. It needs Linux and Go, no account, no Docker and no root.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"github.com/org/atta-deploy-action/internal/localaws"
	"github.com/org/atta-deploy-action/internal/localaws/host"
	"github.com/org/atta-deploy-action/internal/localaws/sample"
	"github.com/org/atta-deploy-action/internal/localaws/standin"
)

const (
	instanceID = "i-0123456789abcdef0"
	role       = "arn:aws:iam::123456789012:role/atta-deploy-demo"
)

func main() {
	if standin.Invoked() {
		os.Exit(standin.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := demo(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// stage is what the demo plays on.
type stage struct {
	folder  string
	program string // the action's own
	app     string // the sample image's
	aws     *localaws.Server
	host    *host.Host
}

func demo(ctx context.Context) error {
	s, err := newStage(ctx)
	if err != nil {
		return err
	}
	defer s.close()

	title("1. A first version")
	if err := s.deploy(ctx, "0.1.0-demo"); err != nil {
		return err
	}
	title("2. A second version replaces it")
	if err := s.deploy(ctx, "0.1.1-demo"); err != nil {
		return err
	}
	title("3. A broken version is taken back")
	if err := s.deploy(ctx, "0.1.2-demo", sample.ExitCode(3)); err == nil {
		return errors.New("the broken version was deployed")
	}
	title("What runs on the instance now")
	fmt.Print(string(s.host.Run(ctx, s.host.Path("opt/atta/current/deploy/ec2_deploy.sh")+" status", nil).Stdout))
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
	if s.app, err = sample.Build(ctx, s.folder); err != nil {
		return nil, err
	}
	if s.aws, err = localaws.Start(localaws.Options{}); err != nil {
		return nil, err
	}
	s.aws.CreateRepository("atta", "IMMUTABLE_WITH_EXCLUSION")
	s.aws.CreateBucket("atta-deploy-artifacts")
	key, err := s.aws.Config().Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	s.host, err = host.New(host.Options{
		Dir: filepath.Join(s.folder, "instance"), Endpoint: s.aws.URL(),
		AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey,
	})
	if err != nil {
		return nil, err
	}
	s.aws.AddInstance(localaws.Instance{ID: instanceID, Name: "demo-1", Machine: s.host})
	return s, nil
}

func (s *stage) close() {
	if s.aws != nil {
		_ = s.aws.Close()
	}
	if s.host != nil {
		_ = s.host.Close()
	}
	_ = os.RemoveAll(s.folder)
}

// deploy does what a workflow does: an image from an earlier step lies in the
// workspace, and the action runs with its inputs in the environment.
func (s *stage) deploy(ctx context.Context, version string, opts ...sample.Option) error {
	workspace := filepath.Join(s.folder, "workspace")
	if err := os.MkdirAll(workspace, 0o755); err != nil {
		return err
	}
	image, err := sample.Image(s.app, append(opts, sample.Version(version))...)
	if err != nil {
		return err
	}
	if err := sample.SaveDocker(filepath.Join(workspace, "image.tar"), image, "atta:"+version); err != nil {
		return err
	}
	outputs, summary := filepath.Join(s.folder, version+".outputs"), filepath.Join(s.folder, version+".md")
	for _, file := range []string{outputs, summary} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			return err
		}
	}
	action := exec.CommandContext(ctx, s.program)
	action.Dir = workspace
	log := &logView{to: os.Stdout}
	action.Stdout, action.Stderr = log, log
	action.Env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=org/atta", "GITHUB_REF_TYPE=tag", "GITHUB_REF_NAME=" + version,
		"GITHUB_WORKSPACE=" + workspace, "GITHUB_OUTPUT=" + outputs, "GITHUB_STEP_SUMMARY=" + summary,
		"AWS_ENDPOINT_URL=" + s.aws.URL(),
		"INPUT_ENVIRONMENT=demo", "INPUT_IMAGE=image.tar", "INPUT_AWS-REGION=us-east-1", "INPUT_ROLE-TO-ASSUME=" + role,
		"INPUT_ECR-REGISTRY=" + s.aws.RegistryHost(), "INPUT_ECR-REPOSITORY=atta",
		"INPUT_DEPLOY-BUCKET=atta-deploy-artifacts", "INPUT_INSTANCE-IDS=" + instanceID,
	}, s.aws.OIDCEnv()...)
	problem := action.Run()
	show("Step summary", summary)
	if problem == nil {
		showOutputs(outputs)
		show("What the job wrote: /opt/atta/output/greeting.txt", s.host.Path("opt/atta/output/greeting.txt"))
	}
	return problem
}
