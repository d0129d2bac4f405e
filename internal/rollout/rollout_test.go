package rollout_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

const (
	bucket       = "artifacts"
	ledgerPrefix = "deployments/dev/atta/"
)

// stage is an account with an image to deploy, and the console that watches.
type stage struct {
	*localaws.Server
	t          *testing.T
	image      string // the file
	repository *image.Repository
	store      *bundle.Store
	locks      locks
	console    *console
	skew       time.Duration

	noRepository bool
}

type locks interface {
	Acquire(context.Context, lease.Holder, time.Duration, func(*lease.HeldError)) (*lease.Lease, error)
	CurrentHolder(context.Context) (*lease.HeldError, error)
	ReleaseByToken(ctx context.Context, token string) error
	WriteRecord(ctx context.Context, id string, record any) error
	ReadRecord(ctx context.Context, id string, record any) (bool, error)
	ReadCurrent(context.Context) (lease.Current, error)
	UpdateCurrent(ctx context.Context, generation int64, change func(*lease.Current)) error
}

func newStage(t *testing.T) *stage {
	t.Helper()
	t.Parallel()
	server, err := localaws.Start(localaws.Options{InvocationDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	server.CreateRepository("atta", "IMMUTABLE_WITH_EXCLUSION")
	server.CreateBucket(bucket)
	config := server.Config()
	s := &stage{Server: server, t: t, image: filepath.Join(t.TempDir(), "image.tar"), console: &console{}}
	s.repository = s.elsewhere("atta")
	s.store = bundle.NewStore(s3.NewFromConfig(config), bucket, "123456789012", "")
	s.locks = lease.New(s3.NewFromConfig(config), lease.Location{Bucket: bucket, Owner: "123456789012", Prefix: ledgerPrefix})
	s.build("a program")
	return s
}

// build leaves an image with that program where the plan looks for one.
func (s *stage) build(program string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "program")
	if err := os.WriteFile(file, []byte(program), 0o755); err != nil {
		s.t.Fatal(err)
	}
	built, err := sample.NewImage(file)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := sample.SaveDockerArchive(s.image, built, "atta:latest"); err != nil {
		s.t.Fatal(err)
	}
}

// OpenImage and Connect make the stage a rollout.Account.
func (s *stage) OpenImage(ctx context.Context) (*image.Source, error) {
	return image.Open(ctx, s.image, authn.DefaultKeychain)
}

func (s *stage) Connect(context.Context) (rollout.Services, error) {
	services := rollout.Services{
		Account: "123456789012", Skew: s.skew, Repository: s.repository, Bucket: s.store,
		Lease: s.locks,
		Fleet: fleet.New(ssm.NewFromConfig(s.Config()), 30*time.Second),
	}
	if s.noRepository {
		services.Repository = nil
	}
	return services, nil
}

// elsewhere is another repository of the registry.
func (s *stage) elsewhere(name string) *image.Repository {
	s.t.Helper()
	repository, err := image.NewRepository(s.RegistryHost(), name, image.Login(ecr.NewFromConfig(s.Config())))
	if err != nil {
		s.t.Fatal(err)
	}
	return repository
}

// defaultPolicy is that of every plan which does not set its own.
var defaultPolicy = deploy.Policy{
	RunOnDeploy: true, OnRunning: "wait", DrainTimeout: 10 * time.Second, HealthTimeout: time.Minute, MinHealthyTime: time.Second, KeepReleases: 5,
}

// plan is a deploy of version to the instances, all phases.
func (s *stage) plan(version string, instances ...string) rollout.Plan {
	s.t.Helper()
	rel, err := release.New("atta", "dev", version)
	if err != nil {
		s.t.Fatal(err)
	}
	id := "d-" + strings.ReplaceAll(version, ".", "-")
	return rollout.Plan{
		Operation: rollout.Deploy, Release: rel, DeploymentID: id, Region: "us-east-1",
		Phases:  inputs.Phases{Image: true, Bundle: true, Rollout: true},
		Image:   inputs.Image{Source: "image.tar", Tags: []string{rel.Alias()}},
		Bundle:  inputs.Bundle{Path: s.t.TempDir(), Prefix: rel.BundlePrefix()},
		Targets: inputs.Targets{InstanceIDs: instances},
		Rollout: inputs.Rollout{Waves: []inputs.Wave{{Percent: 100}}, RollbackOnFailure: "all", Policy: defaultPolicy},
		Time:    inputs.Timeouts{Command: 2 * time.Minute},
		Holder:  lease.Holder{Deployment: id, Version: version}, Deadline: time.Now().Add(time.Hour),
	}
}

func (s *stage) deploy(plan rollout.Plan) (rollout.Result, error) {
	return rollout.Run(s.t.Context(), plan, s, s.console)
}

// changes are the requests that change something, apart from commands that only ask and
// from the ledger.
func (s *stage) changes() (list []string) {
	for _, call := range s.Calls() {
		if strings.HasPrefix(call.Resource, bucket+"/"+ledgerPrefix) {
			continue
		}
		switch call.Operation {
		case "registry:PUT manifest", "s3:PutObject", "ssm:SendCommand", "ssm:CancelCommand":
			list = append(list, call.Operation+" "+call.Resource)
		}
	}
	return list
}

// alias is the digest that latest-dev names.
func (s *stage) alias() string {
	digest, err := s.repository.Resolve(s.t.Context(), "latest-dev")
	if err != nil {
		return ""
	}
	return digest
}

// digestOf is that of the image of a version that ran before.
func digestOf(version string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(version))) }

// host adds an instance on which that version runs.
func (s *stage) host(id, version string) *simhost.Host {
	h := simhost.New(version, digestOf(version))
	s.AddInstance(localaws.Instance{ID: id, Name: "name-of-" + id, Machine: h})
	return h
}

func unwell(string) simhost.Behavior { return simhost.Behavior{Unhealthy: true} }

func well(string) simhost.Behavior { return simhost.Behavior{} }

// endless makes a change begin, which is told, and never end.
func endless(begun chan<- struct{}) func(string) simhost.Behavior {
	return func(string) simhost.Behavior {
		go func() { begun <- struct{}{} }()
		return simhost.Behavior{Duration: time.Hour}
	}
}

// console keeps what a run says, in order.
type console struct {
	groups, log, foreign, outputs []string
	values, saved                 map[string]string

	mu sync.Mutex // of the log, to which hosts may write as well
}

func (c *console) Group(title string, f func() error) error {
	c.groups = append(c.groups, title)
	return f()
}

func (c *console) Info(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, fmt.Sprintf(format, args...))
}

func (c *console) Notice(title, format string, args ...any) {
	c.Info("%s: "+format, append([]any{title}, args...)...)
}

func (c *console) Untrusted(text string) { c.foreign = append(c.foreign, text) }

func (c *console) SaveState(name, value string) error {
	if c.saved == nil {
		c.saved = map[string]string{}
	}
	c.saved[name] = value
	return nil
}

func (c *console) Output(name, value string) error {
	if c.values == nil {
		c.values = map[string]string{}
	}
	c.values[name] = value
	c.outputs = append(c.outputs, c.groups[len(c.groups)-1]+": "+name)
	return nil
}

// states are the hosts in a line.
func states(result rollout.Result) string {
	var list []string
	for _, host := range result.Hosts {
		list = append(list, fmt.Sprintf("%s %s", host.ID, host.State))
	}
	return strings.Join(list, ", ")
}

func wantLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func wantParts(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error is %v, want %s", err, part)
		}
	}
}
