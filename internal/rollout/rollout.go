// Package rollout is the use case: a version and an image go in, and every
// instance is proved to run it, or the run says which does not. It knows neither
// AWS nor GitHub, only what its interfaces say.
package rollout

import (
	"context"
	"time"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
)

// Operation is what a run is for.
type Operation string

// The operations. Deploy and Rollback change what the instances run, Status only asks, and
// TidyUp does what a run that was cut off could not do any more.
const (
	Deploy   Operation = "deploy"
	Rollback Operation = "rollback"
	Status   Operation = "status"
	CleanUp  Operation = "tidy-up"
)

// Plan is what is to be done.
type Plan struct {
	Operation    Operation
	DryRun       bool            // only say what would be done
	Release      release.Release // its version may be missing in a rollback and is of no use to a status
	DeploymentID string
	Region       string

	Image, Bundle, Rollout bool // the phases that run

	Source      string // of the image, as it was given; empty in a dry run before the build
	Compression image.Compression
	ImageDigest string   // of an image pushed before, without the image phase
	ImageTags   []string // moved to the image when every instance is healthy

	BundlePath   string
	Mode         string // of the bundle's unit: job or service; empty: as the unit says
	BundlePrefix string // of its key; ends with a slash
	BundleSHA256 string // of a bundle stored before, without the bundle phase

	Targets      fleet.Targets
	MinInstances int // fewer are an error

	Waves             []Wave
	RollbackOnFailure string // all, wave or none: of what this run has changed, the instances that go back when one fails
	FailOnDrift       bool   // in a status
	Policy
	Holder         lease.Holder  // of the lock: this run
	LockTimeout    time.Duration // how long to wait for another run to end
	CommandTimeout time.Duration
	Deadline       time.Time // no instance starts after the end of the run
	Leftover       Leftover  // by the run before; to tidy up
}

// Policy is how a deploy goes about it on an instance. Durations are whole seconds.
type Policy struct {
	AllowDowngrade   bool
	AllowQuarantined bool   // an image that was found unhealthy there
	RunOnDeploy      bool   // a job; otherwise its timer starts it
	OnRunning        string // wait or kill, a job of the release before
	DrainTimeout     time.Duration
	HealthCommand    string // for bash; may be empty
	HealthURL        string // may be empty
	HealthTimeout    time.Duration
	MinHealthyTime   time.Duration
	KeepReleases     int // besides the one before
}

// Account opens what a run needs from outside: the image, which may be a local
// file, and then, with the first request to AWS, the services.
type Account interface {
	OpenImage(context.Context) (*image.Source, error)
	Connect(context.Context) (Services, error)
}

// Services is what one account has for a deploy.
type Services struct {
	Account    string        // the account's id
	Skew       time.Duration // of AWS's clock against this machine's
	Repository repository
	Bucket     bucket
	Lease      leaseStore
	Fleet      instances
}

type repository interface {
	Push(ctx context.Context, src *image.Source, tag string, how image.How) (image.Pushed, error)
	Check(ctx context.Context, ref string) error
	Resolve(ctx context.Context, ref string) (string, error)
	Size(ctx context.Context, digest string) (int64, error)
	Tag(ctx context.Context, digest string, tags ...string) error
	URI(digest string) string
}

type bucket interface {
	Put(ctx context.Context, key string, b bundle.Bundle) (bundle.Stored, error)
	Find(ctx context.Context, key, sha256 string) (bundle.Stored, error) // sha256 may be empty: as it is stored
}

type leaseStore interface {
	Acquire(ctx context.Context, holder lease.Holder, wait time.Duration, waiting func(*lease.HeldError)) (*lease.Lease, error)
	CurrentHolder(ctx context.Context) (*lease.HeldError, error)
	ReleaseByToken(ctx context.Context, token string) error
	WriteRecord(ctx context.Context, id string, record any) error
	ReadRecord(ctx context.Context, id string, record any) (bool, error)
	ReadCurrent(ctx context.Context) (lease.Current, error)
	UpdateCurrent(ctx context.Context, generation int64, change func(*lease.Current)) error
}

type instances interface {
	Find(ctx context.Context, targets fleet.Targets) ([]fleet.Instance, []*fleet.NotReadyError, error)
	Cancel(ctx context.Context, commands ...string) error
	Run(ctx context.Context, script fleet.Script, on []fleet.Instance, progress fleet.Progress) (fleet.Run, error)
}

// Console shows the run to whoever watches it, and hands on what is known the
// moment it is known.
type Console interface {
	Group(title string, f func() error) error
	Info(format string, args ...any)
	Untrusted(text string)
	Notice(title, format string, args ...any)
	Output(name, value string) error
	SaveState(name, value string) error // for the step that tidies up after this one
}

// Result is what a run has come to, as far as it got.
type Result struct {
	Plan       Plan
	Status     Outcome
	Account    string
	Image      image.Pushed
	Bundle     bundle.Stored
	CommandIDs []string      // of the SSM commands that changed something
	Current    lease.Current // what should run, as it was found
	Idle       bool          // there was nothing to tidy up
	Hosts      []*Host
	Elapsed    time.Duration
}

// Previous is the version that the instances ran before, when it was the same one
// on all of them.
func (r Result) Previous() string {
	if len(r.Hosts) == 0 {
		return ""
	}
	previous := r.Hosts[0].Before
	for _, host := range r.Hosts {
		if host.Before != previous {
			return ""
		}
	}
	return previous
}
