// Package localaws is an AWS small enough to read: ECR with its registry, S3,
// SSM, STS and GitHub's OIDC endpoint on one loopback address, in the wire
// formats that the real SDK and CLI speak. It knows nothing of the action that
// is tested or shown against it.
package localaws

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Options says which account and region a Server plays. The zero value is usable.
type Options struct {
	Account     string           // default "123456789012"
	Region      string           // default "us-east-1"
	SettleDelay time.Duration    // how long a new command has no visible invocations; default 50 ms
	Now         func() time.Time // clock of signatures, tokens and records; default time.Now
}

// Server is the running AWS.
type Server struct{}

// Start serves on a free port of 127.0.0.1.
func Start(Options) (*Server, error) { return &Server{}, nil }

// Close kills the scripts that still run, waits for them and stops serving.
func (s *Server) Close() error { return nil }

// URL is where every service answers, for AWS_ENDPOINT_URL.
func (s *Server) URL() string { return "" }

// RegistryHost is the host and port of the registry, as in an image reference.
func (s *Server) RegistryHost() string { return "" }

// Env is the environment of the runner: endpoint, region and a long-lived key.
func (s *Server) Env() []string { return nil }

// OIDCEnv is the environment of a job with id-token: write.
func (s *Server) OIDCEnv() []string { return nil }

// Config is an SDK configuration with the endpoint and key of Env.
func (s *Server) Config() aws.Config { return aws.Config{} }

// CreateRepository adds an ECR repository. mutability is MUTABLE, IMMUTABLE or
// IMMUTABLE_WITH_EXCLUSION, which leaves tags latest-* movable.
func (s *Server) CreateRepository(name string, mutability string) {}

// BucketOption sets a property of a new bucket.
type BucketOption func(*bucket)

type bucket struct{ owner string }

// OwnedBy makes the bucket another account's.
func OwnedBy(account string) BucketOption { return func(b *bucket) { b.owner = account } }

// CreateBucket adds an empty bucket.
func (s *Server) CreateBucket(name string, opts ...BucketOption) {}

// Object returns the content of an object.
func (s *Server) Object(bucket, key string) ([]byte, bool) { return nil, false }

// AddInstance registers a managed instance; one with the same ID is replaced.
func (s *Server) AddInstance(Instance) {}

// Reboots counts how often scripts on the instance asked for a reboot by exit status 194.
func (s *Server) Reboots(instanceID string) int { return 0 }

// Fault adds a fault to those in force. The first that matches a call applies.
func (s *Server) Fault(Fault) {}

// Calls lists every request so far in the order of arrival.
func (s *Server) Calls() []Call { return nil }

// Call is one request that reached the server.
type Call struct {
	Operation string    // "ssm:SendCommand", "s3:PutObject", "registry:PUT manifest", "oidc:GetToken"
	Resource  string    // what it is about: "bucket/key", "repository:tag", instance ids, a command id
	Principal string    // ARN of who signed it; empty when nobody did
	Status    int       // HTTP status; 0 while in progress and when no reply reached the client
	Time      time.Time // of arrival
}

// Error is an error as AWS answers it. Status defaults to 400.
type Error struct {
	Status  int
	Code    string
	Message string
}

// Fault makes matching calls go wrong.
//
//	s.Fault(localaws.Fault{Operation: "ssm:SendCommand", Times: 2, Error: &localaws.Error{Code: "ThrottlingException", Message: "Rate exceeded"}})
//	s.Fault(localaws.Fault{Operation: "s3:PutObject", Resource: "/bundles/", Times: 1, DropReply: true})
type Fault struct {
	Operation string        // as in Call; empty matches every operation
	Resource  string        // part of the call's Resource; empty matches every one
	Times     int           // how many calls it hits; 0 hits every one
	Delay     time.Duration // waits before anything else
	Reset     bool          // cuts the connection, unhandled
	DropReply bool          // handles the call, then cuts the connection
	Error     *Error        // answers this, unhandled
}

// Instance is a managed EC2 instance.
type Instance struct {
	ID           string
	Name         string // computer name
	PlatformType string // default Linux
	PingStatus   string // default Online
	Tags         map[string]string
	Address      string                    // private IP address
	Machine      Machine                   // nil: every command succeeds with empty output
	Script       func(Invocation) *Verdict // consulted before each delivery; nil result: nothing special
}

// Invocation is one command on its way to one instance.
type Invocation struct {
	CommandID  string
	InstanceID string
	Script     string // as the machine would get it
	Number     int    // 1 for the first command to this instance, 2 for the second
}

// Verdict is how a delivery goes wrong. The zero value delivers as usual.
type Verdict struct {
	Delay   time.Duration // before the command reaches the instance; it is Pending meanwhile
	Status  string        // reported instead of what the agent found; non-terminal ones stay
	Details string        // StatusDetails; default Status. Without Status, the one that belongs to Details
	Code    int           // response code reported with Status
	Stdout  string        // output reported with Status
	Stderr  string
	Runs    int  // how often the machine runs the script; 0: once, or never when a status is forced
	Late    bool // reports Status at once and lets the script run after Delay
}
