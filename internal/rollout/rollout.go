// Package rollout is the use case: a version and an image go in, and every instance is
// proved to run it, or the run says which does not. It knows neither AWS nor GitHub, only
// its own interfaces.
package rollout

import (
	"context"
	"time"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
)

// Account opens what a run needs from outside: the image, which may be a local file, and
// the services, with the first request to AWS.
type Account interface {
	OpenImage(context.Context) (*image.Source, error)
	Connect(context.Context) (Services, error)
}

// Services is what one account has for a deploy.
type Services struct {
	Account    string        // the account's id
	Console    string        // host of the region's console; may be empty
	Skew       time.Duration // how far AWS's clock is ahead of this machine's
	Repository repository    // nil without ecr-repository
	Bucket     bucket
	Lease      leaseStore
	Fleet      instances
	Log        logReader // nil without log-group
}

type repository interface {
	Push(ctx context.Context, src *image.Source, tag string, options image.PushOptions) (image.Pushed, error)
	Check(ctx context.Context, ref string) (digest string, err error)
	Resolve(ctx context.Context, ref string) (string, error)
	Size(ctx context.Context, digest string) (int64, error)
	ServerSign(ctx context.Context, digest string) (string, error)
	Tag(ctx context.Context, digest string, tags ...string) error
	URI(digest string) string
}

type bucket interface {
	Put(ctx context.Context, rel release.Release, b bundle.Bundle) (bundle.Stored, error)
	Find(ctx context.Context, rel release.Release, sha256 string) (bundle.Stored, error)
}

type leaseStore interface {
	Acquire(ctx context.Context, holder lease.Holder, wait time.Duration, waiting func(*lease.HeldError)) (*lease.Lease, error)
	CurrentHolder(ctx context.Context) (*lease.HeldError, error)
	ReleaseByToken(ctx context.Context, token string) error
	WriteRecord(ctx context.Context, id string, record any) error
	ReadRecord(ctx context.Context, id string, record any) (bool, error)
	ReadCurrent(ctx context.Context) (lease.Current, error)
	WriteImage(ctx context.Context, version string, image lease.Image) error
	ReadImage(ctx context.Context, version string) (lease.Image, error)
	UpdateCurrent(ctx context.Context, generation int64, change func(*lease.Current)) error
}

type instances interface {
	Find(ctx context.Context, targets inputs.Targets) ([]fleet.Instance, []*fleet.NotReadyError, error)
	ReadDocument(ctx context.Context, name string) (document fleet.Document, content string, err error)
	CancelIfCommented(ctx context.Context, words []string, commands ...string) error
	Run(ctx context.Context, command fleet.Command, on []fleet.Instance, progress fleet.Progress) (fleet.Run, error)
}

// Console shows the run to whoever watches it, and publishes values as soon as they are
// known.
type Console interface {
	Group(title string, f func() error) error
	Info(format string, args ...any)
	Progress(text string) // of something that takes long; each replaces the previous one where possible
	Untrusted(text string)
	Notice(title, format string, args ...any)
	Warning(title, format string, args ...any)
	Output(name, value string) error
	SaveState(name, value string) error // for the post step
}

// Result is how far a run has come.
type Result struct {
	Plan       Plan
	Status     Outcome
	Account    string
	Console    string // host of the region's console; empty before the account is known
	Image      image.Pushed
	Bundle     bundle.Stored
	CommandIDs []string      // of the SSM commands that may have changed something
	Current    lease.Current // what should run, as it was found
	Idle       bool          // a clean-up that had nothing to do
	Hosts      []*Host
	Steps      []Step // that have ended, in their order
	Elapsed    time.Duration
}

// Step is a part of a run, as the log groups it.
type Step struct {
	Title        string
	Began, Ended time.Time
	Failed       bool
}

// Previous is the version that the instances ran before, when it was the same one on all
// of them.
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

// Outcome is that of a run.
type Outcome string

// The outcomes of a run.
const (
	OutcomeSuccess        Outcome = "success"
	OutcomeFailed         Outcome = "failed"
	OutcomeRolledBack     Outcome = "rolled-back"
	OutcomeRollbackFailed Outcome = "rollback-failed"
	OutcomeUnknown        Outcome = "unknown"
	OutcomeCancelled      Outcome = "cancelled"
	OutcomePlanned        Outcome = "planned"
	OutcomeRunning        Outcome = "running" // in the history, of a run that has not recorded its end
)
