package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

type s3API interface {
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	HeadObject(context.Context, *s3.HeadObjectInput, ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// Store is one bucket. Every request names the account that must own it, so that
// nothing is written to, or trusted from, a stranger's bucket of that name.
type Store struct {
	api    s3API
	bucket string
	owner  string
	kmsKey string
}

// NewStore returns the bucket that account owner has. kmsKey may be empty for the
// bucket's own default encryption.
func NewStore(api s3API, bucket, owner, kmsKey string) *Store {
	return &Store{api: api, bucket: bucket, owner: owner, kmsKey: kmsKey}
}

// Stored is a bundle that S3 has confirmed.
type Stored struct {
	URI    string // s3://bucket/key
	SHA256 string // hex
	Reused bool   // the same bytes were there before
}

// ConflictError says that another bundle has the name already. A version's bundle
// is written once.
type ConflictError struct{ URI, Have, Want string }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s holds another bundle: it has sha256 %s, this one %s; a version is never reused", e.URI, e.Have, e.Want)
}

// retryConflicts makes the SDK retry 409 too, which S3 answers while another
// conditional write of the key is under way.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func retryConflicts(o *s3.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer, "ConditionalRequestConflict")
}

// Put writes the bundle unless its key exists. The same bytes under the key are
// reused; others are a ConflictError.
func (s *Store) Put(ctx context.Context, key string, b Bundle) (Stored, error) {
	sum, err := hex.DecodeString(b.SHA256)
	if err != nil {
		return Stored{}, fmt.Errorf("read sha256 of bundle: %w", err)
	}
	put := &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &key, ExpectedBucketOwner: &s.owner,
		Body:              bytes.NewReader(b.Content),
		IfNoneMatch:       aws.String("*"),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		ChecksumSHA256:    aws.String(base64.StdEncoding.EncodeToString(sum)),
		ContentType:       aws.String("application/gzip"),
	}
	if s.kmsKey != "" {
		put.ServerSideEncryption, put.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &s.kmsKey
	}
	_, err = s.api.PutObject(ctx, put, retryConflicts)
	if errorCode(err) == "PreconditionFailed" {
		return s.Find(ctx, key, b.SHA256)
	}
	if err != nil {
		return Stored{}, fmt.Errorf("write %s: %w", s.uri(key), err)
	}
	return Stored{URI: s.uri(key), SHA256: b.SHA256}, nil
}

// ErrNotFound says that there is no bundle under the key.
var ErrNotFound = errors.New("the bundle is not in the bucket")

// Find returns the bundle under the key: ErrNotFound when there is none, and a
// ConflictError when it has another sha256 than that one, in hex, which may be empty.
func (s *Store) Find(ctx context.Context, key, sha256 string) (Stored, error) {
	have, err := s.sum(ctx, key)
	switch errorCode(err) {
	case "NotFound", "NoSuchKey":
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err != nil {
		return Stored{}, fmt.Errorf("read %s: %w", s.uri(key), err)
	}
	if sha256 != "" && have != sha256 {
		return Stored{}, &ConflictError{URI: s.uri(key), Have: have, Want: sha256}
	}
	return Stored{URI: s.uri(key), SHA256: have, Reused: true}, nil
}

// sum asks S3 for the checksum it keeps, and reads the object when it keeps none,
// as for one that another tool has put there.
func (s *Store) sum(ctx context.Context, key string) (string, error) {
	head, err := s.api.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &s.bucket, Key: &key, ExpectedBucketOwner: &s.owner, ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		return "", err
	}
	if sum, err := base64.StdEncoding.DecodeString(aws.ToString(head.ChecksumSHA256)); err == nil && len(sum) == sha256.Size {
		return hex.EncodeToString(sum), nil
	}
	object, err := s.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key, ExpectedBucketOwner: &s.owner})
	if err != nil {
		return "", err
	}
	defer object.Body.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, object.Body); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func (s *Store) uri(key string) string { return "s3://" + s.bucket + "/" + key }

func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
