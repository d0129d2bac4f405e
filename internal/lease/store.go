// Package lease stores in S3 which run may deploy a service to an environment, what
// should run there, and the record of each run. It does not know instances.
//
// The state is a few small objects, changed by compare-and-swap. This requires s3:GetObject,
// s3:PutObject and s3:ListBucket, without which S3 returns AccessDenied for a missing object.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"

	"github.com/org/atta-deploy-action/internal/storage"
)

// Store reads and writes the objects of one service in one environment.
type Store struct {
	bucket *storage.Bucket
	prefix string // deployments/<environment>/<service>/
	timing timing
}

// timing configures how a lock is renewed and waited for.
type timing struct {
	expiry         time.Duration // after the last renewal; whole seconds, the resolution of S3's clock
	renewInterval  time.Duration // between two renewals
	requestTimeout time.Duration // of a request with its retries: the SDK has none, and a dead connection never responds
	maxPollDelay   time.Duration // between two reads of a lock that another run holds; shorter at first
}

// New returns the store of the objects whose keys begin with prefix, deployments/<environment>/<service>/. It sends no
// request.
func New(bucket *storage.Bucket, prefix string) *Store {
	return &Store{bucket: bucket, prefix: prefix, timing: timing{
		expiry: maxExpiry, renewInterval: 20 * time.Second, requestTimeout: 10 * time.Second, maxPollDelay: 5 * time.Second,
	}}
}

// maxExpiry is the expiry of a lock; a longer one in another run's lock is invalid.
const maxExpiry = 2 * time.Minute

// maxObjectSize limits how much of an object is read, in bytes.
const maxObjectSize = 16 << 20

// ErrInvalidObject is returned for an object of the lease that something else has written.
var ErrInvalidObject = errors.New("not an object that this action wrote")

var (
	// errChanged reports that an object has changed since it was read.
	errChanged    = errors.New("changed by another run")
	errNoResponse = errors.New("no response from S3")
)

// object is the state of one S3 object. Both times are by S3's clock, so that a runner's
// clock does not affect when a lock expires.
type object struct {
	etag       string // empty if the object does not exist
	modifiedAt time.Time
	readAt     time.Time
}

// age returns how old the object was when it was read.
func (o object) age() time.Duration { return o.readAt.Sub(o.modifiedAt) }

// readObject decodes an object into value, which stays unchanged if the object does not exist.
func (s *Store) readObject(ctx context.Context, name string, value any) (object, error) {
	ctx, stop := context.WithTimeoutCause(ctx, s.timing.requestTimeout, errNoResponse)
	defer stop()
	out, err := s.bucket.Get(ctx, s.prefix+name)
	if storage.IsMissing(err) {
		return object{}, nil
	}
	if err != nil {
		return object{}, s.explainTimeout(ctx, "read", name, err)
	}
	defer out.Body.Close()
	content, err := io.ReadAll(io.LimitReader(out.Body, maxObjectSize))
	if err != nil {
		return object{}, s.explainTimeout(ctx, "read", name, fmt.Errorf("read %s: %w", s.objectURI(name), err))
	}
	if err := json.Unmarshal(content, value); err != nil { // which names types of Go
		return object{}, fmt.Errorf("read %s: %w: it is not JSON, or a value in it has another type; restore an earlier version of the object, or delete it", s.objectURI(name), ErrInvalidObject)
	}
	if input, ok := value.(validator); ok {
		if err := input.validate(); err != nil {
			return object{}, fmt.Errorf("read %s: %w: %w; restore an earlier version of the object, or delete it", s.objectURI(name), ErrInvalidObject, err)
		}
	}
	at, ok := middleware.GetServerTime(out.ResultMetadata)
	if !ok || out.LastModified == nil {
		return object{}, fmt.Errorf("read %s: the response has no server time", s.objectURI(name))
	}
	return object{etag: aws.ToString(out.ETag), modifiedAt: *out.LastModified, readAt: at}, nil
}

// writeObject replaces the object that has this etag, or creates it if etag is empty, and
// returns the new etag. The error is errChanged if another write came first. That may be an
// earlier attempt of the same write, since the SDK retries after a lost response.
func (s *Store) writeObject(ctx context.Context, name string, value any, etag string) (string, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", s.objectURI(name), err)
	}
	ctx, stop := context.WithTimeoutCause(ctx, s.timing.requestTimeout, errNoResponse)
	defer stop()
	written, err := s.bucket.Put(ctx, s.prefix+name, content, "application/json", etag)
	if storage.IsConflict(err) {
		return "", fmt.Errorf("write %s: %w", s.objectURI(name), errChanged)
	}
	if err != nil {
		return "", s.explainTimeout(ctx, "write", name, err)
	}
	return written, nil
}

func (s *Store) objectURI(name string) string { return s.bucket.URI(s.prefix + name) }

// explainTimeout returns why ctx ended, if it did, and otherwise err.
func (s *Store) explainTimeout(ctx context.Context, verb, name string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%s %s: %w", verb, s.objectURI(name), cause)
	}
	return err
}

// isPermanent reports whether a retry would return the same error.
func isPermanent(err error) bool {
	return errors.Is(err, ErrInvalidObject) || storage.IsPermanent(err)
}
