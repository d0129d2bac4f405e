package inputs

import (
	"io/fs"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/release"
)

// Inputs is everything the user asks for, checked, with defaults applied. Nothing in it holds a control character, and
// only Image.Source, Image.Recipe, Bundle.Path and the health checks of Rollout.Policy hold anything but letters, digits,
// spaces and plain punctuation.
type Inputs struct {
	Task      Task
	Identity  Identity
	Image     Image
	Bundle    Bundle
	Targets   Targets
	Rollout   Rollout
	Timeouts  Timeouts
	Reporting Reporting
}

// Task says what is done, with what, and in which part of the run.
type Task struct {
	Operation string          // deploy, rollback or status
	DryRun    bool            // only say what would be done
	Release   release.Release // without a version in a status, and in a rollback to the one before
	Phases    Phases          // of a deploy; else the rollout alone
}

// Phases are the parts of a run; they are done in the order written here.
type Phases struct {
	Image, Bundle, Rollout bool
}

// Identity says who deploys.
type Identity struct {
	Region            string
	Role              string        // ARN; empty: the credentials that are there
	SessionName       string        // of the role
	SessionDuration   time.Duration // of the role, whole seconds
	ExternalID        string        // of the role; may be empty
	Audience          string        // of the OIDC token
	AllowedAccountIDs []string      // twelve digits each; empty: any account
}

// Image says what is pushed, and where to.
type Image struct {
	Source     string   // path or registry reference, as given, or scratch
	Registry   string   // host[:port]; empty: the account's own
	Repository string   // in the registry
	Create     bool     // the repository, where ECR has none
	Tags       []string // besides the version; moved once the fleet is healthy
	Digest     string   // sha256:<hex>, for a rollout without the image phase

	Compression string // gzip or zstd
	Recipe      Recipe // zero unless Files are put on Source
}

// Recipe says how an image is made of files.
type Recipe struct {
	Files               []File
	Platforms           []string
	Entrypoint, Command []string // nil: those of the image below
	Env                 []string // NAME=value
	User, Workdir       string
	Labels              map[string]string
}

// File is a file or a folder, and where it is in the image.
type File struct {
	Path string      // relative to the working directory, or absolute below the workspace
	To   string      // absolute
	Mode fs.FileMode // 0: the file's own
}

// Bundle says what is packed, and where it is uploaded.
type Bundle struct {
	Path   string // relative to the working directory, or absolute below the workspace
	Bucket string
	Prefix string // of the S3 key; ends with a slash
	Mode   string // job or service; empty: the unit in Path says, and without one it is a job
	KMSKey string // empty: the bucket's default encryption
	SHA256 string // 64 hex digits, for a rollout without the bundle phase
}

// Targets says which instances.
type Targets struct {
	InstanceIDs  []string // in the order given, each once; empty when there are tags
	Tags         []Tag    // all must match
	MinInstances int
}

// Tag is one tag of an instance.
type Tag struct{ Key, Value string }

// Wave is how many instances have the release when it has ended: either of the two is 0.
type Wave struct{ Hosts, Percent int }

// Rollout says how the instances change.
type Rollout struct {
	Waves             []Wave // rising; the last one is 100%
	RollbackOnFailure string // all, wave or none
	Policy            deploy.Policy
}

// Timeouts bounds the run. All are whole seconds.
type Timeouts struct {
	Lock     time.Duration // to wait for another run's deploy to end
	Delivery time.Duration // for an instance to start the command
	Command  time.Duration // for the command on an instance
	Run      time.Duration // for the whole run
}

// Reporting says what is shown.
type Reporting struct {
	StepSummary bool
	FailOnDrift bool // in a status
}
