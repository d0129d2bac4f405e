package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/storage"
)

// Store stores bundles in one bucket.
type Store struct {
	bucket *storage.Bucket
	prefix string
}

// NewStore returns a Store for the keys of a bucket that begin with prefix, which ends with a slash.
func NewStore(bucket *storage.Bucket, prefix string) *Store {
	return &Store{bucket: bucket, prefix: prefix}
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

// ErrNotFound is returned if the bundle of a release is not in the bucket.
var ErrNotFound = errors.New("the bundle is not in the bucket")

// Put uploads the bundle of a release unless its key exists. If it holds the same bytes, they are reused; otherwise the
// error is a *ConflictError. Only Find looks under the key of earlier versions of this action.
func (s *Store) Put(ctx context.Context, rel release.Release, b Bundle) (Stored, error) {
	key := rel.BundleKey(s.prefix)
	_, err := s.bucket.Put(ctx, key, b.Content, "application/gzip", "")
	if storage.IsConflict(err) {
		if stored, findErr := s.findKey(ctx, key, b.SHA256); !errors.Is(findErr, ErrNotFound) {
			return stored, findErr
		}
	}
	if err != nil {
		return Stored{}, err
	}
	return Stored{URI: s.bucket.URI(key), SHA256: b.SHA256}, nil
}

// Find returns the bundle of a release with this SHA-256, in hex. The error is ErrNotFound if none is stored, and a
// *ConflictError if another one is.
func (s *Store) Find(ctx context.Context, rel release.Release, sha256 string) (Stored, error) {
	stored, err := s.findKey(ctx, rel.BundleKey(s.prefix), sha256)
	if !errors.Is(err, ErrNotFound) {
		return stored, err
	}
	old, oldErr := s.findOld(ctx, rel, sha256)
	if errors.Is(oldErr, ErrNotFound) {
		return Stored{}, err
	}
	return old, oldErr
}

// findOld is Find for the key that earlier versions of this action used. All services share it, so another bundle there is
// a conflict only if it is one of this service. A role that may not read the key has no bundle there.
func (s *Store) findOld(ctx context.Context, rel release.Release, sha256 string) (Stored, error) {
	key := rel.OldBundleKey(s.prefix)
	stored, err := s.findKey(ctx, key, sha256)
	if storage.IsDenied(err) {
		return Stored{}, ErrNotFound
	}
	if !errors.As(err, new(*ConflictError)) {
		return stored, err
	}
	content, readErr := s.download(ctx, key)
	if readErr != nil {
		return Stored{}, readErr
	}
	if !isOfService(content, rel.Service) {
		return Stored{}, ErrNotFound
	}
	return Stored{}, err
}

func (s *Store) findKey(ctx context.Context, key, sha256 string) (Stored, error) {
	have, err := s.storedSHA256(ctx, key)
	switch {
	case storage.IsMissing(err):
		return Stored{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	case err != nil:
		return Stored{}, err
	case have != sha256:
		return Stored{}, &ConflictError{URI: s.bucket.URI(key), Have: have, Want: sha256}
	}
	return Stored{URI: s.bucket.URI(key), SHA256: have, Reused: true}, nil
}

// storedSHA256 requests the checksum from S3, and downloads the object to compute it if S3 has none, as for a bundle that
// another tool uploaded.
func (s *Store) storedSHA256(ctx context.Context, key string) (string, error) {
	head, err := s.bucket.Head(ctx, key)
	if err != nil {
		return "", err
	}
	if sum, err := base64.StdEncoding.DecodeString(aws.ToString(head.ChecksumSHA256)); err == nil && len(sum) == sha256.Size {
		return hex.EncodeToString(sum), nil
	}
	if size := aws.ToInt64(head.ContentLength); size > deploy.MaxBundle {
		return "", fmt.Errorf("read %s: it has %d bytes, and a bundle may have %d", s.bucket.URI(key), size, deploy.MaxBundle)
	}
	content, err := s.download(ctx, key)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), nil
}

func (s *Store) download(ctx context.Context, key string) ([]byte, error) {
	object, err := s.bucket.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer object.Body.Close()
	content, err := io.ReadAll(io.LimitReader(object.Body, deploy.MaxBundle+1))
	if err == nil && len(content) > deploy.MaxBundle {
		err = fmt.Errorf("it has more than %d bytes, the most that a bundle may have", deploy.MaxBundle)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.bucket.URI(key), err)
	}
	return content, nil
}
