// Package lease keeps in S3 which run may deploy a service to an environment, what
// should run there, and what each run has come to. It is small objects, changed by
// compare-and-swap; s3:GetObject and s3:PutObject on them are all that it needs, with
// s3:ListBucket, without which S3 calls a missing object AccessDenied.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
package lease

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

type s3API interface {
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// Location is where a service's ledger for one environment lies.
type Location struct {
	Bucket string
	Owner  string // the account that must own the bucket
	Prefix string // deployments/<environment>/<service>/
	KMSKey string // empty: the bucket's own default encryption
}

// Store is one service in one environment.
type Store struct {
	api   s3API
	place Location
	pace  pace
}

// pace is how a lock is held and waited for.
type pace struct {
	expiry time.Duration // after the last beat; whole seconds, since S3 counts in these
	beat   time.Duration // between two beats
	reply  time.Duration // to a request with its retries: the SDK has no limit, and a connection can die in silence
	again  time.Duration // between two looks at a lock that somebody else holds; less at first
}

// New returns the ledger at that place. It asks S3 nothing yet.
func New(api s3API, place Location) *Store {
	return &Store{api: api, place: place, pace: pace{expiry: 2 * time.Minute, beat: 20 * time.Second, reply: 10 * time.Second, again: 5 * time.Second}}
}

var (
	// errChanged says that an object is no longer as it was read.
	errChanged = errors.New("changed by another run")
	errForeign = errors.New("it is not as this action writes it")
	errNoReply = errors.New("no reply from S3")
)

// object is what S3 has of one entry, with two times by S3's own clock: a runner's clock
// decides nothing.
type object struct {
	etag     string // empty: there is none
	modified time.Time
	read     time.Time
}

// read decodes an entry into value and leaves that as it is when there is none.
func (l *Store) read(ctx context.Context, name string, value any) (object, error) {
	ctx, stop := context.WithTimeoutCause(ctx, l.pace.reply, errNoReply)
	defer stop()
	out, err := l.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &l.place.Bucket, Key: aws.String(l.place.Prefix + name), ExpectedBucketOwner: &l.place.Owner})
	if code(err) == "NoSuchKey" {
		return object{}, nil
	}
	if err != nil {
		return object{}, fmt.Errorf("read %s: %w", l.uri(name), why(ctx, err))
	}
	defer out.Body.Close()
	content, err := io.ReadAll(io.LimitReader(out.Body, 1<<24))
	if err != nil {
		return object{}, fmt.Errorf("read %s: %w", l.uri(name), why(ctx, err))
	}
	if err := json.Unmarshal(content, value); err != nil {
		return object{}, fmt.Errorf("read %s: %w: %w", l.uri(name), errForeign, err)
	}
	at, ok := middleware.GetServerTime(out.ResultMetadata)
	if !ok || out.LastModified == nil {
		return object{}, fmt.Errorf("read %s: S3 does not say what time it is", l.uri(name))
	}
	return object{etag: aws.ToString(out.ETag), modified: *out.LastModified, read: at}, nil
}

// write replaces an entry that is still as it was read, and returns its new etag; with
// the etag empty there must be none yet. When another write came first the error is
// errChanged. A write whose reply was lost is sent again by the SDK and then meets
// itself: only who reads the entry can tell.
func (l *Store) write(ctx context.Context, name string, value any, etag string) (string, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", l.uri(name), err)
	}
	ctx, stop := context.WithTimeoutCause(ctx, l.pace.reply, errNoReply)
	defer stop()
	sum := sha256.Sum256(content)
	put := &s3.PutObjectInput{
		Bucket: &l.place.Bucket, Key: aws.String(l.place.Prefix + name), ExpectedBucketOwner: &l.place.Owner,
		Body: bytes.NewReader(content), ContentType: aws.String("application/json"),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	}
	if etag == "" {
		put.IfNoneMatch = aws.String("*")
	} else {
		put.IfMatch = &etag
	}
	if l.place.KMSKey != "" {
		put.ServerSideEncryption, put.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &l.place.KMSKey
	}
	out, err := l.api.PutObject(ctx, put, func(o *s3.Options) { o.Retryer = retry.AddWithErrorCodes(o.Retryer, "ConditionalRequestConflict") })
	switch code(err) {
	case "PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey":
		return "", fmt.Errorf("write %s: %w", l.uri(name), errChanged)
	}
	if err != nil {
		return "", fmt.Errorf("write %s: %w", l.uri(name), why(ctx, err))
	}
	return aws.ToString(out.ETag), nil
}

func (l *Store) uri(name string) string {
	return "s3://" + l.place.Bucket + "/" + l.place.Prefix + name
}

// why is the cause of the context's end, when that is what ended the request.
func why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// lasting tells whether an error will be the same the next time.
func lasting(err error) bool {
	var answer interface {
		error
		HTTPStatusCode() int
	}
	return errors.Is(err, errForeign) || errors.As(err, &answer) && answer.HTTPStatusCode()/100 == 4
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
