package rollout_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/internal/storage"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

const (
	bucket      = "artifacts"
	leasePrefix = "deployments/dev/atta/"
)

// fixture is an account with an image to deploy, and the console of its runs.
type fixture struct {
	*localaws.Server
	t          *testing.T
	image      string // the file
	repository *image.Repository
	store      *bundle.Store
	locks      locks
	console    *console
	skew       time.Duration

	noRepository bool
	slowPush     bool
	logGroup     string
}

type locks interface {
	Acquire(context.Context, lease.Holder, time.Duration, func(*lease.HeldError)) (*lease.Lease, error)
	CurrentHolder(context.Context) (*lease.HeldError, error)
	ReleaseByToken(ctx context.Context, token string) error
	WriteRecord(ctx context.Context, id string, record any) error
	ReadRecord(ctx context.Context, id string, record any) (bool, error)
	ReadCurrent(context.Context) (lease.Current, error)
	UpdateCurrent(ctx context.Context, generation int64, change func(*lease.Current)) error
	WriteImage(ctx context.Context, version string, image lease.Image) error
	ReadImage(ctx context.Context, version string) (lease.Image, error)
}

// onFixture runs test against an account in memory, on virtual time.
func onFixture(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server, err := localaws.Start(localaws.Options{InMemory: true, InvocationDelay: -1})
		if err != nil {
			t.Fatal(err)
		}
		transport := remote.DefaultTransport
		remote.DefaultTransport = server.Config().HTTPClient.(*http.Client).Transport // the only way to the registry in memory
		t.Cleanup(func() {
			remote.DefaultTransport = transport
			_ = server.Close()
			time.Sleep(time.Minute) // until every goroutine of a host has ended
		})
		server.CreateRepository("atta", "IMMUTABLE_WITH_EXCLUSION")
		server.CreateBucket(bucket)
		f := &fixture{Server: server, t: t, image: filepath.Join(t.TempDir(), "image.tar"), console: &console{}}
		f.repository = f.newRepository("atta")
		f.useBucket(storage.Location{Bucket: bucket, Owner: "123456789012", Region: "us-east-1"})
		f.buildImage("a program")
		test(t, f)
	})
}

// useBucket makes the fixture deploy with the bucket at that location.
func (f *fixture) useBucket(location storage.Location) {
	objects := storage.New(s3.NewFromConfig(f.Config()), location)
	f.store, f.locks = bundle.NewStore(objects, "bundles/dev/"), lease.New(objects, leasePrefix)
}

// buildImage writes the image that plans deploy, with that program.
func (f *fixture) buildImage(program string, options ...sample.Option) {
	f.t.Helper()
	file := filepath.Join(f.t.TempDir(), "program")
	if err := os.WriteFile(file, []byte(program), 0o755); err != nil {
		f.t.Fatal(err)
	}
	built, err := sample.NewImage(file, options...)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := sample.SaveDockerArchive(f.image, built, "atta:latest"); err != nil {
		f.t.Fatal(err)
	}
}

// OpenImage and Connect make the fixture a rollout.Account.
func (f *fixture) OpenImage(ctx context.Context) (*image.Source, error) {
	return image.Open(ctx, f.image, authn.DefaultKeychain)
}

func (f *fixture) Connect(context.Context) (rollout.Services, error) {
	services := rollout.Services{
		Account: "123456789012", Skew: f.skew, Repository: f.repository, Bucket: f.store,
		Lease: f.locks,
		Fleet: fleet.New(ssm.NewFromConfig(f.Config()), 30*time.Second),
	}
	if f.logGroup != "" {
		services.Log = fleet.NewLog(cloudwatchlogs.NewFromConfig(f.Config()), f.logGroup)
	}
	switch {
	case f.noRepository:
		services.Repository = nil
	case f.slowPush:
		services.Repository = slowRepository{f.repository}
	}
	return services, nil
}

// newRepository is a repository of the registry.
func (f *fixture) newRepository(name string) *image.Repository {
	f.t.Helper()
	repository, err := image.NewRepository(f.RegistryHost(), name, image.Login(ecr.NewFromConfig(f.Config())))
	if err != nil {
		f.t.Fatal(err)
	}
	return repository
}

// defaultPolicy is that of every plan which does not set its own.
var defaultPolicy = deploy.Policy{
	RunOnDeploy: true, OnRunning: "wait", DrainTimeout: 10 * time.Second, HealthTimeout: time.Minute, MinHealthyTime: time.Second, KeepReleases: 5,
}

// plan is a deploy of version to the instances, with all phases.
func (f *fixture) plan(version string, instances ...string) rollout.Plan {
	f.t.Helper()
	rel, err := release.New("atta", "dev", version)
	if err != nil {
		f.t.Fatal(err)
	}
	id := "d-" + strings.ReplaceAll(version, ".", "-")
	return rollout.Plan{
		Operation: rollout.Deploy, Release: rel, DeploymentID: id, Region: "us-east-1",
		Phases:  inputs.Phases{Image: true, Bundle: true, Rollout: true},
		Image:   inputs.Image{Source: "image.tar", Tags: []string{rel.Alias()}},
		Bundle:  inputs.Bundle{Path: f.t.TempDir(), Bucket: bucket},
		Targets: inputs.Targets{InstanceIDs: instances},
		Rollout: inputs.Rollout{Waves: []inputs.Wave{{Percent: 100}}, RollbackOnFailure: "all", Policy: defaultPolicy},
		Time:    inputs.Timeouts{Command: 2 * time.Minute},
		Holder:  lease.Holder{Deployment: id, Version: version}, Deadline: time.Now().Add(time.Hour),
	}
}

func (f *fixture) runPlan(plan rollout.Plan) (rollout.Result, error) {
	ctx, stop := context.WithTimeout(f.t.Context(), time.Hour)
	defer stop()
	return rollout.Run(ctx, plan, f, f.console)
}

// mutatingRequests are the commands and the writes to the registry and the bucket, apart
// from those of the lock and the history.
func (f *fixture) mutatingRequests() (list []string) {
	for _, call := range f.Calls() {
		if strings.HasPrefix(call.Resource, bucket+"/"+leasePrefix) {
			continue
		}
		switch call.Operation {
		case "registry:PUT manifest", "s3:PutObject", "ssm:SendCommand", "ssm:CancelCommand":
			list = append(list, call.Operation+" "+call.Resource)
		}
	}
	return list
}

// latestDigest is the digest that latest-dev names; empty: none.
func (f *fixture) latestDigest() string {
	digest, err := f.repository.Resolve(f.t.Context(), "latest-dev")
	if err != nil {
		return ""
	}
	return digest
}

// digestOf is the digest of the image of a version that is installed already.
func digestOf(version string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(version))) }

// addHost adds an instance that runs that version.
func (f *fixture) addHost(id, version string) *simhost.Host {
	h := simhost.New(version, digestOf(version))
	f.AddInstance(localaws.Instance{ID: id, Name: "name-of-" + id, Machine: h})
	return h
}

// addHosts adds n instances, i-01 and so on, that run that version.
func (f *fixture) addHosts(n int, version string) (ids []string, list []*simhost.Host) {
	for i := range n {
		id := fmt.Sprintf("i-%02d", i+1)
		ids, list = append(ids, id), append(list, f.addHost(id, version))
	}
	return ids, list
}

func unhealthy(string) simhost.Behavior { return simhost.Behavior{Unhealthy: true} }

func healthy(string) simhost.Behavior { return simhost.Behavior{} }

// neverEnding makes a change start, which it reports to started, and never end.
func neverEnding(started chan<- struct{}) func(string) simhost.Behavior {
	return func(string) simhost.Behavior {
		go func() { started <- struct{}{} }()
		return simhost.Behavior{Duration: time.Hour}
	}
}
