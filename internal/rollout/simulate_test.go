package rollout_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
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
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

var (
	simulations = flag.Int("simulations", 150, "how many fleets are simulated")
	seed        = flag.Uint64("seed", 0, "simulate this one alone")
)

// Random fleets with random faults, deployed to by one or two runs that may be cancelled or
// killed: the real SDK and the real rollout on virtual time. Whatever happens, what is said
// must be true of the hosts. A seed gives the same fleet and the same faults each time; what
// is drawn beside it, as the pauses between two looks, is not part of it.
func TestSimulation(t *testing.T) {
	first, n := uint64(1), uint64(*simulations)
	if *seed > 0 {
		first, n = *seed, 1
	}
	var tally tally
	t.Run("fleets", func(t *testing.T) {
		var next atomic.Uint64
		next.Store(first)
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for number := next.Add(1) - 1; number < first+n && !t.Failed(); number = next.Add(1) - 1 {
					synctest.Test(t, func(t *testing.T) { newWorld(t, number).play(&tally) })
				}
			})
		}
	})
	t.Logf("%d simulations: %s", n, tally.String())
}

// tally counts how runs ended, so that it shows when a kind of end is never seen.
type tally struct {
	sync.Mutex
	ends map[string]int
}

func (t *tally) add(end string) {
	t.Lock()
	defer t.Unlock()
	if t.ends == nil {
		t.ends = map[string]int{}
	}
	t.ends[end]++
}

func (t *tally) String() string {
	var list []string
	for end, n := range t.ends {
		list = append(list, fmt.Sprintf("%d %s", n, end))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// world is one fleet and the runs on it.
type world struct {
	t      *testing.T
	seed   uint64
	rand   *rand.Rand
	server *localaws.Server
	ids    []string
	hosts  map[string]*simhost.Host
	before map[string]string // the version that a host ran at first
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 1)), hosts: map[string]*simhost.Host{}, before: map[string]string{}}
	var err error
	if w.server, err = localaws.Start(localaws.Options{InMemory: true}); err != nil {
		t.Fatal(err)
	}
	w.server.CreateBucket(bucket)
	n := 1 + w.rand.IntN(8)
	switch w.rand.IntN(10) {
	case 0:
		n = 1 + w.rand.IntN(200)
	case 1, 2:
		n = 1 + w.rand.IntN(60)
	}
	trouble := []float64{0, 0.02, 0.1, 0.4}[w.rand.IntN(4)] // how likely a host has some
	for i := range n {
		id := fmt.Sprintf("i-%03d", i)
		version := "0.1.0-dev"
		if w.chance(0.05) {
			version = ""
		}
		host := simhost.New(version, digestOf(version))
		host.StatusDelay = w.seconds(2)
		w.ids, w.hosts[id], w.before[id] = append(w.ids, id), host, version
		courses := w.courses(trouble)
		host.NextBehavior = func(version string) simhost.Behavior { return courses[version] }
		w.server.AddInstance(localaws.Instance{ID: id, Machine: host, InjectFault: w.delivery(trouble)})
	}
	for _, operation := range []string{"ssm:SendCommand", "ssm:ListCommands", "ssm:ListCommandInvocations", "ssm:GetCommandInvocation", "s3:PutObject", "s3:GetObject", "ssm:CancelCommand"} {
		for range w.rand.IntN(4) {
			w.server.AddFault(w.fault(operation))
		}
	}
	return w
}

func (w *world) chance(p float64) bool { return w.rand.Float64() < p }

func (w *world) seconds(most int) time.Duration {
	return time.Duration(w.rand.IntN(most*1000+1)) * time.Millisecond
}

// versions are those that runs deploy; the one with a 9 is bad on every host.
var versions = []string{"0.1.1-dev", "0.1.2-dev", "0.1.9-dev"}

// courses is how a host's changes go.
func (w *world) courses(trouble float64) map[string]simhost.Behavior {
	courses := map[string]simhost.Behavior{"0.1.0-dev": {Duration: w.seconds(20)}}
	for _, version := range versions {
		course := simhost.Behavior{Duration: w.seconds(90), Unhealthy: version == "0.1.9-dev"}
		if w.chance(trouble) {
			switch w.rand.IntN(4) {
			case 0:
				course.Unhealthy = true
			case 1:
				course.Refusal = "not enough room"
			case 2:
				course.Duration = 20 * time.Minute // longer than its command may
			case 3:
				course.RollbackFails = w.chance(0.3)
			}
		}
		courses[version] = course
	}
	return courses
}

// delivery is how commands come to a host.
func (w *world) delivery(trouble float64) func(localaws.Invocation) *localaws.DeliveryFault {
	verdicts := map[int]*localaws.DeliveryFault{}
	for number := range 12 {
		if !w.chance(trouble / 3) {
			continue
		}
		verdicts[number+1] = []*localaws.DeliveryFault{
			{Status: "AccessDenied", Code: -1},
			{Status: "Undeliverable", Code: -1},
			{Status: "DeliveryTimedOut", Code: -1},
			{Status: "DeliveryTimedOut", Code: -1, Runs: 1},
			{Status: "DeliveryTimedOut", Code: -1, StatusFirst: true, Delay: w.seconds(600)},
			{Status: "InProgress"},
			{Status: "Foo", Code: -1, Runs: 1},
			{Runs: 2},
			{Delay: w.seconds(25)},
		}[w.rand.IntN(9)]
	}
	return func(i localaws.Invocation) *localaws.DeliveryFault { return verdicts[i.Number] }
}

func (w *world) fault(operation string) localaws.Fault {
	fault := localaws.Fault{Operation: operation, Times: 1 + w.rand.IntN(3)}
	switch w.rand.IntN(5) {
	case 0:
		fault.Error = &localaws.Error{Code: "ThrottlingException", Message: "Rate exceeded"}
	case 1:
		fault.Error = &localaws.Error{Status: 500, Code: "InternalServerError", Message: "oops"}
	case 2:
		fault.DropReply = true
	case 3:
		fault.Reset = true
	case 4:
		fault.Delay = w.seconds(5)
	}
	return fault
}

// runner is a machine that a run is at work on. When it is killed nothing of it is heard any more.
type runner struct {
	world  *world
	number int
	dead   atomic.Bool
	wire   http.RoundTripper
	*console
}

func (w *world) runner(number int) *runner {
	return &runner{world: w, number: number, wire: w.server.Config().HTTPClient.(*http.Client).Transport, console: &console{groups: []string{""}}}
}

// RoundTrip makes it the network of its own AWS clients.
func (r *runner) RoundTrip(request *http.Request) (*http.Response, error) {
	if r.dead.Load() {
		return nil, errors.New("this machine is dead")
	}
	return r.wire.RoundTrip(request)
}

// OpenImage and Connect make it a rollout.Account.
func (r *runner) OpenImage(context.Context) (*image.Source, error) { panic("there is none") }

func (r *runner) Connect(context.Context) (rollout.Services, error) {
	config := r.world.server.Config()
	config.HTTPClient = &http.Client{Transport: r}
	// Not the adaptive one, which waits for less than a nanosecond and again, so that virtual
	// time never goes on.
	config.Retryer = func() aws.Retryer { return retry.NewStandard() }
	return rollout.Services{
		Account: "123456789012", Repository: shelf{}, Bucket: shelf{},
		Lease: lease.New(s3.NewFromConfig(config), lease.Location{Bucket: bucket, Owner: "123456789012", Prefix: leasePrefix}),
		Fleet: fleet.New(ssm.NewFromConfig(config), 30*time.Second),
	}, nil
}

// shelf has every image and every bundle, as earlier jobs have left them.
type shelf struct{}

func (shelf) Push(context.Context, *image.Source, string, image.PushOptions) (image.Pushed, error) {
	panic("nothing is pushed")
}
func (shelf) Check(context.Context, string) error                   { return nil }
func (shelf) Resolve(_ context.Context, ref string) (string, error) { return digestOf(ref), nil }
func (shelf) Size(context.Context, string) (int64, error)           { return 1, nil }
func (shelf) Tag(context.Context, string, ...string) error          { return nil }
func (shelf) URI(digest string) string                              { return "registry/atta@" + digest }
func (shelf) Put(context.Context, string, bundle.Bundle) (bundle.Stored, error) {
	panic("nothing is stored")
}
func (shelf) Find(_ context.Context, key, _ string) (bundle.Stored, error) {
	return bundle.Stored{URI: "s3://artifacts/" + key, SHA256: strings.Repeat("0", 64)}, nil
}

// plan is what a run on this machine is to do.
func (r *runner) plan() rollout.Plan {
	w := r.world
	version := versions[w.rand.IntN(len(versions))]
	rel, err := release.New("atta", "dev", version)
	if err != nil {
		w.t.Fatal(err)
	}
	id := fmt.Sprintf("run-%d", r.number)
	plan := rollout.Plan{
		Operation: rollout.Deploy, Release: rel, DeploymentID: id, Region: "us-east-1", Phases: inputs.Phases{Rollout: true},
		Image:   inputs.Image{Digest: digestOf(version), Tags: []string{rel.Alias()}},
		Bundle:  inputs.Bundle{SHA256: strings.Repeat("0", 64), Prefix: rel.BundlePrefix()},
		Targets: inputs.Targets{InstanceIDs: w.ids, MinInstances: 1},
		Rollout: inputs.Rollout{
			Waves: [][]inputs.Wave{
				{{Percent: 100}}, {{Hosts: 1}, {Percent: 100}}, {{Hosts: 1}, {Percent: 25}, {Percent: 100}}, {{Percent: 10}, {Percent: 50}, {Percent: 100}},
			}[w.rand.IntN(4)],
			RollbackOnFailure: []string{"all", "wave", "none"}[w.rand.IntN(3)],
			Policy: deploy.Policy{
				AllowDowngrade: w.chance(0.5), AllowQuarantined: w.chance(0.3),
				RunOnDeploy: true, OnRunning: "wait", DrainTimeout: time.Minute, HealthTimeout: time.Minute, MinHealthyTime: time.Second, KeepReleases: 5,
			},
		},
		Time:   inputs.Timeouts{Lock: time.Duration(w.rand.IntN(3)) * 10 * time.Minute, Command: 5 * time.Minute},
		Holder: lease.Holder{Deployment: id, Version: version}, Deadline: time.Now().Add(time.Hour),
	}
	if r.number > 1 && w.chance(0.3) {
		plan.Operation, plan.Image.Tags, plan.Release.Version = rollout.Rollback, nil, release.Version{}
	}
	return plan
}

// play lets one or two runs go, one or two more after them, and looks at the end.
func (w *world) play(tally *tally) {
	defer func() {
		time.Sleep(30 * time.Minute) // until every host has come to rest
		if err := w.server.Close(); err != nil {
			w.t.Error(err)
		}
		time.Sleep(time.Minute)
	}()
	var group sync.WaitGroup
	for i := range 1 + w.rand.IntN(2) {
		r := w.runner(i + 1)
		plan, delay, fate, when := r.plan(), time.Duration(i)*w.seconds(60), w.rand.IntN(6), w.seconds(300)
		group.Go(func() {
			time.Sleep(delay)
			w.run(r, plan, fate, when, tally)
		})
	}
	group.Wait()
	last := w.runner(9)
	w.run(last, last.plan(), 5, 0, tally)
	w.atRest()
}

// run is one run with its fate: cancelled by a signal, killed, or neither; what tidies up
// after it comes mostly.
func (w *world) run(r *runner, plan rollout.Plan, fate int, when time.Duration, tally *tally) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Until(plan.Deadline))
	defer cancel()
	var signalled atomic.Int64
	switch fate {
	case 0:
		defer time.AfterFunc(when, func() { signalled.Store(time.Now().UnixNano()); cancel() }).Stop()
	case 1:
		defer time.AfterFunc(when, func() { r.dead.Store(true) }).Stop()
	}
	result, err := rollout.Run(ctx, plan, r, r)
	if at := signalled.Load(); at > 0 && time.Since(time.Unix(0, at)) > 10*time.Second && !r.dead.Load() {
		w.fail(r, result, "it ended %s after the signal", time.Since(time.Unix(0, at)))
	}
	if r.dead.Load() {
		tally.add("killed")
	} else {
		tally.add(string(result.Status))
		w.check(r, result, err)
	}
	if fate > 1 || fate == 1 && w.seed%3 == 0 {
		return
	}
	r.dead.Store(false) // the post step, on a machine that can be heard
	after := plan
	after.Operation, after.Leftover = rollout.CleanUp, rollout.Leftover{
		Deployment: r.saved["deployment"], Lock: r.saved["lock"], Finished: r.saved["finished"] == "true",
		Commands: strings.FieldsFunc(r.saved["commands"], func(c rune) bool { return c == ',' }),
	}
	tidied, err := rollout.Run(context.Background(), after, r, r)
	if err == nil && !tidied.Idle {
		w.checkHosts(r, tidied)
	}
}

func (w *world) fail(r *runner, result rollout.Result, format string, args ...any) {
	w.t.Errorf("seed %d, run %d (%s %s, %s): %s\nit said:\n%s", w.seed, r.number, result.Plan.Operation, result.Plan.Release.Version, result.Status,
		fmt.Sprintf(format, args...), strings.Join(r.log, "\n"))
}

// check holds what a run says against what its hosts are, at the moment that it says it.
func (w *world) check(r *runner, result rollout.Result, err error) {
	if (err == nil) != (result.Status == rollout.OutcomeSuccess) {
		w.fail(r, result, "its error is %v", err)
	}
	if result.Status == rollout.OutcomeSuccess && len(result.Hosts) != len(w.ids) {
		w.fail(r, result, "it is about %d hosts of %d", len(result.Hosts), len(w.ids))
	}
	for _, host := range result.Hosts {
		if result.Status == rollout.OutcomeSuccess && host.State != rollout.Deployed {
			w.fail(r, result, "%s is %s: %s", host.ID, host.State, host.Message)
		}
	}
	w.checkHosts(r, result)
}

func (w *world) checkHosts(r *runner, result rollout.Result) {
	wanted := result.Plan.Release.Version.String()
	for _, host := range result.Hosts {
		state := w.hosts[host.ID].State()
		changes := w.hosts[host.ID].Changes()
		if n := len(changes); n > 0 && result.Plan.Operation == rollout.CleanUp && !strings.HasPrefix(changes[n-1].Deployment, result.Plan.DeploymentID) {
			continue // another run has come since
		}
		switch host.State {
		case rollout.Deployed:
			if state.Version != wanted || !state.Verified || state.Digest != digestOf(wanted) {
				w.fail(r, result, "%s is deployed and runs %q, verified %t", host.ID, state.Version, state.Verified)
			}
		case rollout.RolledBack:
			if state.Version == wanted && host.Before != wanted {
				w.fail(r, result, "%s is rolled back and runs %q", host.ID, state.Version)
			}
		case rollout.NotStarted:
			for _, change := range w.hosts[host.ID].Changes() {
				if strings.HasPrefix(change.Deployment, result.Plan.DeploymentID) {
					w.fail(r, result, "%s was not touched, and was changed by %s", host.ID, change.Deployment)
				}
			}
		case rollout.NotDeployed:
			for _, change := range w.hosts[host.ID].Changes() {
				if change.Deployment == result.Plan.DeploymentID && change.Started.Before(time.Now()) && state.Version == wanted && host.Before != wanted {
					w.fail(r, result, "%s is not deployed, and runs %s", host.ID, state.Version)
				}
			}
		}
	}
}

// atRest is what must hold when nothing is under way any more.
func (w *world) atRest() {
	time.Sleep(30 * time.Minute)
	w.server.ClearFaults()
	type begun struct {
		at         time.Time
		generation int64
		run, what  string
	}
	var changes []begun
	for _, id := range w.ids {
		state := w.hosts[id].State()
		if state.Busy {
			w.t.Errorf("seed %d: %s is still at work", w.seed, id)
		}
		possible := append([]string{w.before[id]}, versions...)
		if !slices.Contains(possible, state.Version) {
			w.t.Errorf("seed %d: %s runs %q", w.seed, id, state.Version)
		}
		perDeployment := map[string]int{}
		for _, change := range w.hosts[id].Changes() {
			changes = append(changes, begun{change.Started, change.Generation, strings.TrimSuffix(change.Deployment, "-back"), change.Deployment + " on " + id})
			if perDeployment[change.Deployment]++; perDeployment[change.Deployment] > 1 {
				w.t.Errorf("seed %d: %s was changed twice by %s", w.seed, id, change.Deployment)
			}
		}
	}
	slices.SortStableFunc(changes, func(a, b begun) int { return a.at.Compare(b.at) })
	for i := 1; i < len(changes); i++ {
		if a, b := changes[i-1], changes[i]; b.generation < a.generation && b.run != a.run {
			w.t.Errorf("seed %d: %s began with generation %d after %s with generation %d", w.seed, b.what, b.generation, a.what, a.generation)
		}
	}
	last := w.runner(99)
	services, _ := last.Connect(context.Background())
	lock, err := services.Lease.(*lease.Store).Acquire(context.Background(), lease.Holder{Deployment: "last"}, 3*time.Minute, nil)
	if err != nil {
		w.t.Errorf("seed %d: the lock does not become free: %v", w.seed, err)
		return
	}
	if err := lock.Release(context.Background()); err != nil {
		w.t.Error(err)
	}
}
