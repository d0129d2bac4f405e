package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/internal/storage"
)

// runner is the machine of one run. A dead one sends nothing any more.
type runner struct {
	simulation *simulation
	number     int
	dead       atomic.Bool
	transport  http.RoundTripper
	*console
}

func (s *simulation) newRunner(number int) *runner {
	return &runner{simulation: s, number: number, transport: s.server.Config().HTTPClient.(*http.Client).Transport, console: &console{groups: []string{""}}}
}

// RoundTrip makes it the network of its own AWS clients.
func (r *runner) RoundTrip(request *http.Request) (*http.Response, error) {
	if r.dead.Load() {
		return nil, errors.New("this machine is dead")
	}
	return r.transport.RoundTrip(request)
}

// OpenImage and Connect make it a rollout.Account.
func (r *runner) OpenImage(context.Context) (*image.Source, error) { panic("not in these plans") }

func (r *runner) Connect(context.Context) (rollout.Services, error) {
	config := r.simulation.server.Config()
	config.HTTPClient = &http.Client{Transport: r}
	return rollout.Services{
		Account: "123456789012", Repository: storedArtifacts{}, Bucket: storedArtifacts{},
		Lease: lease.New(storage.New(s3.NewFromConfig(config), storage.Location{Bucket: bucket, Owner: "123456789012", Region: "us-east-1"}), leasePrefix),
		Fleet: fleet.New(ssm.NewFromConfig(config), 30*time.Second),
	}, nil
}

// storedArtifacts holds the image and the bundle of every version, as earlier jobs leave
// them.
type storedArtifacts struct{}

func (storedArtifacts) Push(context.Context, *image.Source, string, image.PushOptions) (image.Pushed, error) {
	panic("not in these plans")
}
func (storedArtifacts) Check(context.Context, string) (string, error) { return "", nil }
func (storedArtifacts) Resolve(_ context.Context, ref string) (string, error) {
	return digestOf(ref), nil
}
func (storedArtifacts) Size(context.Context, string) (int64, error)        { return 1, nil }
func (storedArtifacts) ServerSign(context.Context, string) (string, error) { return "", nil }

func (storedArtifacts) Tag(context.Context, string, ...string) error { return nil }
func (storedArtifacts) URI(digest string) string                     { return "registry/atta@" + digest }
func (storedArtifacts) Put(context.Context, release.Release, bundle.Bundle) (bundle.Stored, error) {
	panic("not in these plans")
}
func (storedArtifacts) Find(_ context.Context, rel release.Release, _ string) (bundle.Stored, error) {
	return bundle.Stored{URI: "s3://artifacts/" + rel.BundleKey("bundles/dev/"), SHA256: strings.Repeat("0", 64)}, nil
}

// documentName is the document that half of the simulations use.
const documentName = "deploy-atta-dev"

// plan draws what the run is to do: mostly a deploy.
func (r *runner) plan() rollout.Plan {
	s := r.simulation
	version := versions[s.rand.IntN(len(versions))]
	rel, err := release.New("atta", "dev", version)
	if err != nil {
		s.t.Fatal(err)
	}
	id := fmt.Sprintf("run-%d", r.number)
	plan := rollout.Plan{
		Operation: rollout.Deploy, Release: rel, DeploymentID: id, Region: "us-east-1", Phases: inputs.Phases{Rollout: true},
		Image:   inputs.Image{Digest: digestOf(version), Tags: []string{rel.Alias()}},
		Bundle:  inputs.Bundle{SHA256: strings.Repeat("0", 64)},
		Targets: inputs.Targets{InstanceIDs: s.ids, MinInstances: 1},
		Rollout: inputs.Rollout{
			Waves: [][]inputs.Wave{
				{{Percent: 100}}, {{Hosts: 1}, {Percent: 100}}, {{Hosts: 1}, {Percent: 25}, {Percent: 100}}, {{Percent: 10}, {Percent: 50}, {Percent: 100}},
			}[s.rand.IntN(4)],
			RollbackOnFailure: []string{"all", "wave", "none"}[s.rand.IntN(3)],
			Policy: deploy.Policy{
				AllowDowngrade: s.chance(0.5), AllowQuarantined: s.chance(0.3),
				RunOnDeploy: true, OnRunning: "wait", DrainTimeout: time.Minute, HealthTimeout: time.Minute, MinHealthyTime: time.Second, KeepReleases: 5,
			},
		},
		Time:   inputs.Timeouts{Lock: time.Duration(s.rand.IntN(3)) * 10 * time.Minute, Command: 5 * time.Minute},
		Holder: lease.Holder{Deployment: id, Version: version}, Deadline: time.Now().Add(time.Hour),
	}
	if s.seed%2 == 1 {
		plan.Rollout.Document = documentName
	}
	if r.number > 1 && s.chance(0.3) {
		plan.Operation, plan.Image.Tags, plan.Release.Version = rollout.Rollback, nil, release.Version{}
	}
	return plan
}
