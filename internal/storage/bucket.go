// Package storage reads and writes the objects of one S3 bucket. It does not know what they contain.
package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

type s3API interface {
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	HeadObject(context.Context, *s3.HeadObjectInput, ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// Location names a bucket and how its objects are encrypted.
type Location struct {
	Bucket     string
	Owner      string // the account that must own the bucket
	Region     string // of the requests
	Encryption string // AES256, aws:kms or aws:kms:dsse; empty: the bucket's default, and no header asks for any
	KMSKey     string // empty: the default key of the encryption
}

// Bucket is one bucket. Every request names the account that must own it, so that nothing is written to or read from
// somebody else's bucket of that name.
type Bucket struct {
	api      s3API
	location Location
}

// New returns the bucket at location. It sends no request.
func New(api s3API, location Location) *Bucket { return &Bucket{api: api, location: location} }

// URI returns s3://bucket/key.
func (b *Bucket) URI(key string) string { return "s3://" + b.location.Bucket + "/" + key }

// Get returns an object, whose body the caller closes.
func (b *Bucket) Get(ctx context.Context, key string) (*s3.GetObjectOutput, error) {
	out, err := b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.location.Bucket, Key: &key, ExpectedBucketOwner: &b.location.Owner})
	return out, b.explainError("read", key, err)
}

// Head returns the properties of an object, with its checksums, or ErrArchived.
func (b *Bucket) Head(ctx context.Context, key string) (*s3.HeadObjectOutput, error) {
	out, err := b.api.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &b.location.Bucket, Key: &key, ExpectedBucketOwner: &b.location.Owner, ChecksumMode: types.ChecksumModeEnabled,
	})
	if err == nil && isArchived(out) {
		err = fmt.Errorf("%w, in the storage class %s", ErrArchived, out.StorageClass)
	}
	return out, b.explainError("read", key, err)
}

// Put replaces the object that has this etag, or creates it if etag is empty, and returns the new etag. IsConflict reports
// whether the error says that another write came first. That may be an earlier attempt of the same write, since the SDK
// retries after a lost response. The checksum is required by buckets with Object Lock.
func (b *Bucket) Put(ctx context.Context, key string, content []byte, contentType, etag string) (string, error) {
	sum := sha256.Sum256(content)
	put := &s3.PutObjectInput{
		Bucket: &b.location.Bucket, Key: &key, ExpectedBucketOwner: &b.location.Owner,
		Body: bytes.NewReader(content), ContentType: &contentType,
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
		ServerSideEncryption: types.ServerSideEncryption(b.location.Encryption),
	}
	if etag == "" {
		put.IfNoneMatch = aws.String("*")
	} else {
		put.IfMatch = &etag
	}
	if b.location.KMSKey != "" {
		put.SSEKMSKeyId = &b.location.KMSKey
	}
	out, err := b.api.PutObject(ctx, put, retryConflicts)
	if err != nil {
		return "", b.explainError("write", key, err)
	}
	return aws.ToString(out.ETag), nil
}

// retryConflicts makes the SDK also retry the 409 that S3 returns while another conditional write of the key is in progress:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func retryConflicts(o *s3.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer, conflict)
}

func (b *Bucket) explainError(verb, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", verb, b.URI(key), explainBucket(b.location, err))
}

// isArchived reports whether the content of an object has to be restored before it can be read:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html#API_HeadObject_ResponseSyntax
func isArchived(o *s3.HeadObjectOutput) bool {
	slow := o.StorageClass == types.StorageClassGlacier || o.StorageClass == types.StorageClassDeepArchive || o.ArchiveStatus != ""
	return slow && !strings.Contains(aws.ToString(o.Restore), `ongoing-request="false"`)
}
