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

	"github.com/org/atta-deploy-action/deploy"
)

type s3API interface {
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	HeadObject(context.Context, *s3.HeadObjectInput, ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// Store stores bundles in one bucket. Every request names the account that must own the bucket, so that nothing is written
// to or read from somebody else's bucket of that name.
type Store struct {
	api    s3API
	bucket string
	owner  string
	kmsKey string
}

// NewStore returns a Store for a bucket of the account owner. An empty kmsKey means the bucket's default encryption.
func NewStore(api s3API, bucket, owner, kmsKey string) *Store {
	return &Store{api: api, bucket: bucket, owner: owner, kmsKey: kmsKey}
}

// Stored is a bundle that is confirmed to be in S3.
type Stored struct {
	URI    string // s3://bucket/key
	SHA256 string // hex
	Reused bool   // the same bytes were already stored
}

// ConflictError reports that the key already holds another bundle. The bundle of a version is never overwritten.
type ConflictError struct{ URI, Have, Want string }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s holds another bundle, with sha256 %s instead of %s; release a new version", e.URI, e.Have, e.Want)
}

// retryConflicts makes the SDK also retry the 409 that S3 returns while another conditional write of the key is in progress:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func retryConflicts(o *s3.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer, "ConditionalRequestConflict")
}

// Put uploads the bundle unless the key exists. If it holds the same bytes, they are reused; otherwise the error is a
// *ConflictError.
func (s *Store) Put(ctx context.Context, key string, b Bundle) (Stored, error) {
	sum, err := hex.DecodeString(b.SHA256)
	if err != nil {
		return Stored{}, fmt.Errorf("decode sha256 of bundle: %w", err)
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
		return Stored{}, fmt.Errorf("write %s: %w", s.objectURI(key), err)
	}
	return Stored{URI: s.objectURI(key), SHA256: b.SHA256}, nil
}

// ErrNotFound is returned if there is no bundle under the key.
var ErrNotFound = errors.New("the bundle is not in the bucket")

// Find returns the bundle under the key. The error is ErrNotFound if there is none, and a *ConflictError if its SHA-256
// differs from sha256, in hex; an empty sha256 matches any bundle.
func (s *Store) Find(ctx context.Context, key, sha256 string) (Stored, error) {
	have, err := s.storedSHA256(ctx, key)
	switch errorCode(err) {
	case "NotFound", "NoSuchKey":
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err != nil {
		return Stored{}, fmt.Errorf("read %s: %w", s.objectURI(key), err)
	}
	if sha256 != "" && have != sha256 {
		return Stored{}, &ConflictError{URI: s.objectURI(key), Have: have, Want: sha256}
	}
	return Stored{URI: s.objectURI(key), SHA256: have, Reused: true}, nil
}

// storedSHA256 requests the checksum from S3, and downloads the object to compute it if S3 has none, as for a bundle that
// another tool uploaded.
func (s *Store) storedSHA256(ctx context.Context, key string) (string, error) {
	head, err := s.api.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &s.bucket, Key: &key, ExpectedBucketOwner: &s.owner, ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		return "", err
	}
	if sum, err := base64.StdEncoding.DecodeString(aws.ToString(head.ChecksumSHA256)); err == nil && len(sum) == sha256.Size {
		return hex.EncodeToString(sum), nil
	}
	if size := aws.ToInt64(head.ContentLength); size > deploy.MaxBundle {
		return "", fmt.Errorf("it has %d bytes, and a bundle may have %d", size, deploy.MaxBundle)
	}
	object, err := s.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key, ExpectedBucketOwner: &s.owner})
	if err != nil {
		return "", err
	}
	defer object.Body.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(object.Body, deploy.MaxBundle+1))
	if err == nil && n > deploy.MaxBundle {
		err = fmt.Errorf("it has more than %d bytes, the most that a bundle may have", deploy.MaxBundle)
	}
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func (s *Store) objectURI(key string) string { return "s3://" + s.bucket + "/" + key }

func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
