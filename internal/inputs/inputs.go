// Package inputs turns the inputs of action.yml, given as variables or flags, into validated values. It performs no I/O.
package inputs

import (
	"io/fs"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/release"
)

// Inputs holds every input, validated, with defaults applied. No value contains a control character, and only Image.Source,
// Image.Recipe, Bundle.Path and the health checks of Rollout.Policy may contain anything other than letters, digits, spaces
// and plain punctuation.
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

// Task is what to do, with which release, and in which phases.
type Task struct {
	Operation string          // deploy, rollback, status or doctor
	DryRun    bool            // only show what would be done
	Release   release.Release // without a version for a status, a doctor, or a rollback to the previous version
	Phases    Phases          // of a deploy; other operations have only Rollout
}

// Phases are the phases of a run, which run in this order.
type Phases struct {
	Image, Bundle, Rollout bool
}

// Identity is the AWS identity that deploys.
type Identity struct {
	Region            string
	Role              string        // ARN; empty: use the credentials in the environment
	SessionName       string        // of the role
	SessionDuration   time.Duration // of the role, whole seconds
	ExternalID        string        // of the role; may be empty
	Audience          string        // of the OIDC token
	AllowedAccountIDs []string      // twelve digits each; empty: any account
}

// Image is the image to push, and its repository.
type Image struct {
	Source     string   // path or registry reference, as given, or scratch
	Registry   string   // host[:port]; empty: the account's own registry
	Repository string   // in the registry
	Create     bool     // create the repository if it does not exist
	Tags       []string // in addition to the version; moved once the fleet is healthy
	Digest     string   // sha256:<hex>, for a rollout without the image phase

	Compression string // gzip or zstd
	Recipe      Recipe // zero unless the image is built from files on top of Source
}

// Recipe describes an image built from files.
type Recipe struct {
	Base                string // scratch, or an image
	Workspace           string // the folder that Files must be in; empty: the working directory
	Files               []File
	Platforms           []string
	Entrypoint, Command []string // nil: those of the base image
	Env                 []string // NAME=value
	User, Workdir       string
	Labels              map[string]string
}

// File is a file or a folder, and its destination in the image.
type File struct {
	Path string      // relative to the working directory, or absolute under the workspace
	To   string      // absolute
	Mode fs.FileMode // 0: derived from the file's own mode
}

// Bundle is what to pack, and where to upload it.
type Bundle struct {
	Path   string   // relative to the working directory, or absolute under the workspace
	Allow  []string // files in Path that are named like files of secrets and hold none
	Bucket string
	Prefix string // of the S3 key; ends with a slash
	Mode   string // job or service; empty: decided by the unit in Path, or job without a unit
	KMSKey string // empty: the default key of the encryption
	SHA256 string // 64 hex digits, for a rollout without the bundle phase

	Owner      string // account of the bucket; empty: the account of the credentials
	Encryption string // AES256, aws:kms or aws:kms:dsse; empty: the bucket's default encryption
}

// Targets selects the instances.
type Targets struct {
	InstanceIDs  []string // in the given order, without duplicates; empty if there are Tags
	Tags         []Tag    // all must match
	MinInstances int
}

// Tag is one tag of an instance.
type Tag struct{ Key, Value string }

// Wave is the total number or percentage of instances that run the release when the wave ends; the other field is 0.
type Wave struct{ Hosts, Percent int }

// Rollout configures how the release is deployed to the instances.
type Rollout struct {
	Waves             []Wave // increasing; the last one is 100%
	RollbackOnFailure string // all, wave or none
	Document          string // SSM document of the account; empty: AWS-RunShellScript
	Policy            deploy.Policy
}

// Timeouts limit the run, in whole seconds.
type Timeouts struct {
	Lock     time.Duration // for another run's deploy to end
	Delivery time.Duration // for an instance to start the command
	Command  time.Duration // for the command on an instance
	Run      time.Duration // for the whole run
}

// Reporting controls how the result is shown.
type Reporting struct {
	StepSummary bool
	LogGroup    string // of CloudWatch Logs; empty: the instances' output is not shown while they work
	FailOnDrift bool   // in a status
}
