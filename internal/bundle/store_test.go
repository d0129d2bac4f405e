package bundle_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/storage"
	"github.com/org/atta-deploy-action/localaws"
)

const (
	account   = "123456789012"
	bucket    = "artifacts"
	bundleKey = "bundles/dev/atta/deploy-bundle-0.1.30-dev.tar.gz"
	oldKey    = "bundles/dev/deploy-bundle-0.1.30-dev.tar.gz"
	uri       = "s3://" + bucket + "/" + bundleKey
)

// cloud returns an emulated AWS with one bucket, and a client that retries without delay.
func cloud(t *testing.T, opts ...localaws.BucketOption) (*localaws.Server, *s3.Client) {
	t.Helper()
	server, err := localaws.Start(localaws.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	server.CreateBucket(bucket, opts...)
	return server, s3.NewFromConfig(server.Config(), func(o *s3.Options) { o.UsePathStyle = true })
}

// newStore returns the store of a run; each option changes where its objects are.
func newStore(client *s3.Client, options ...func(*storage.Location)) *bundle.Store {
	location := storage.Location{Bucket: bucket, Owner: account, Region: "us-east-1"}
	for _, change := range options {
		change(&location)
	}
	return bundle.NewStore(storage.New(client, location), "bundles/dev/")
}

func put(t *testing.T, client *s3.Client, b bundle.Bundle) (bundle.Stored, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	return newStore(client).Put(ctx, atta(t), b)
}

func operations(server *localaws.Server) (all []string) {
	for _, call := range server.Calls() {
		all = append(all, call.Operation)
	}
	return all
}

func wantOperations(t *testing.T, server *localaws.Server, want ...string) {
	t.Helper()
	if got := operations(server); !slices.Equal(got, want) {
		t.Errorf("S3 saw %v, want %v", got, want)
	}
}

func TestPutUploadsABundleOnceAndThenReusesIt(t *testing.T) {
	t.Parallel()
	server, client := cloud(t)
	b := build(t, folder(t))
	for _, reused := range []bool{false, true} {
		got, err := put(t, client, b)
		if want := (bundle.Stored{URI: uri, SHA256: b.SHA256, Reused: reused}); err != nil || got != want {
			t.Errorf("got %+v %v, want %+v", got, err, want)
		}
	}
	if content, ok := server.Object(bucket, bundleKey); !ok || !bytes.Equal(content, b.Content) {
		t.Error("S3 has other content")
	}
	wantOperations(t, server, "s3:PutObject", "s3:PutObject", "s3:HeadObject")
}

func TestPutReportsAConflictThatNamesBothBundles(t *testing.T) {
	t.Parallel()
	server, client := cloud(t)
	first, second := build(t, folder(t)), build(t, folder(t, own{"more", "more", 0o644}))
	if _, err := put(t, client, first); err != nil {
		t.Fatal(err)
	}
	_, err := put(t, client, second)
	conflict := (*bundle.ConflictError)(nil)
	if !errors.As(err, &conflict) || !strings.Contains(err.Error(), first.SHA256) || !strings.Contains(err.Error(), second.SHA256) || !strings.Contains(err.Error(), uri) {
		t.Errorf("got %v", err)
	}
	if content, _ := server.Object(bucket, bundleKey); !bytes.Equal(content, first.Content) {
		t.Error("the first bundle was overwritten")
	}
}

func TestStoreNeitherWritesNorReadsABucketOfAnotherAccount(t *testing.T) {
	t.Parallel()
	server, client := cloud(t, localaws.OwnedBy("999999999999"))
	b := build(t, folder(t))
	if _, err := put(t, client, b); err == nil || !strings.Contains(err.Error(), "write "+uri) || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("Put: %v", err)
	}
	if _, ok := server.Object(bucket, bundleKey); ok {
		t.Error("the bundle was written")
	}
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(bundleKey), Body: bytes.NewReader(b.Content), ChecksumAlgorithm: types.ChecksumAlgorithmSha256}); err != nil {
		t.Fatal(err)
	}
	if _, err := newStore(client).Find(t.Context(), atta(t), b.SHA256); err == nil || !strings.Contains(err.Error(), "read "+uri) {
		t.Errorf("Find: %v", err)
	}
}

func TestStoreUsesTheBucketOfTheAccountThatItIsGiven(t *testing.T) {
	t.Parallel()
	server, client := cloud(t, localaws.OwnedBy("999999999999"))
	store, b := newStore(client, func(l *storage.Location) { l.Owner = "999999999999" }), build(t, folder(t))
	if _, err := store.Put(t.Context(), atta(t), b); err != nil {
		t.Error(err)
	}
	if _, ok := server.Object(bucket, bundleKey); !ok {
		t.Error("the bundle was not written")
	}
}

func TestCaseStoreNamesTheRegionOfTheBucket(t *testing.T) {
	t.Parallel()
	server, client := cloud(t, localaws.InRegion("eu-west-1"))
	b := build(t, folder(t))
	_, putErr := put(t, client, b)
	_, findErr := newStore(client).Find(t.Context(), atta(t), b.SHA256)
	for verb, err := range map[string]error{"write": putErr, "read": findErr} {
		if want := verb + " " + uri + ": the bucket artifacts is in region eu-west-1, not in us-east-1"; err == nil || err.Error() != want {
			t.Errorf("%s: %v", verb, err)
		}
	}
	wantOperations(t, server, "s3:PutObject", "s3:HeadObject")
}

func TestFindChecksTheChecksumOfTheBundle(t *testing.T) {
	t.Parallel()
	_, client := cloud(t)
	store, rel, b := newStore(client), atta(t), build(t, folder(t))
	if _, err := store.Find(t.Context(), rel, b.SHA256); err == nil || !strings.Contains(err.Error(), "read "+uri) {
		t.Errorf("without it: %v", err)
	}
	if _, err := put(t, client, b); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Find(t.Context(), rel, b.SHA256); err != nil || !got.Reused || got.SHA256 != b.SHA256 {
		t.Errorf("with it: %+v %v", got, err)
	}
	conflict := (*bundle.ConflictError)(nil)
	if _, err := store.Find(t.Context(), rel, strings.Repeat("0", 64)); !errors.As(err, &conflict) {
		t.Errorf("with another: %v", err)
	}
}

func TestPutAsksForTheEncryptionThatTheBucketRequires(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:kms:us-east-1:123456789012:key/4711"
	for encryption, key := range map[string]string{"AES256": "", "aws:kms": arn, "aws:kms:dsse": ""} {
		_, client := cloud(t, localaws.RequireEncryption(encryption))
		b := build(t, folder(t))
		if _, err := put(t, client, b); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("without %s: %v", encryption, err)
		}
		store := newStore(client, func(l *storage.Location) { l.Encryption, l.KMSKey = encryption, key })
		if _, err := store.Put(t.Context(), atta(t), b); err != nil {
			t.Fatal(err)
		}
		head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String(bundleKey)})
		if err != nil || aws.ToString(head.SSEKMSKeyId) != key || string(head.ServerSideEncryption) != encryption {
			t.Errorf("encrypted with %s by %s, %v", aws.ToString(head.SSEKMSKeyId), head.ServerSideEncryption, err)
		}
	}
}

func TestPutHashesABundleThatAnotherToolUploaded(t *testing.T) {
	t.Parallel()
	server, client := cloud(t)
	b := build(t, folder(t))
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(bundleKey), Body: bytes.NewReader(b.Content)}); err != nil {
		t.Fatal(err)
	}
	if got, err := put(t, client, b); err != nil || !got.Reused {
		t.Errorf("%+v %v", got, err)
	}
	conflict := (*bundle.ConflictError)(nil)
	if _, err := put(t, client, build(t, folder(t, own{"more", "", 0o644}))); !errors.As(err, &conflict) || conflict.Have != b.SHA256 {
		t.Errorf("other bytes: %v", err)
	}
	wantOperations(t, server, "s3:PutObject", "s3:PutObject", "s3:HeadObject", "s3:GetObject", "s3:PutObject", "s3:HeadObject", "s3:GetObject")
}

func TestPutRetriesAfterAConcurrentWrite(t *testing.T) {
	t.Parallel()
	server, client := cloud(t)
	server.AddFault(localaws.Fault{Operation: "s3:PutObject", Times: 1, Error: &localaws.Error{Status: 409, Code: "ConditionalRequestConflict", Message: "concurrent"}})
	if got, err := put(t, client, build(t, folder(t))); err != nil || got.Reused {
		t.Errorf("%+v %v", got, err)
	}
	wantOperations(t, server, "s3:PutObject", "s3:PutObject")
}

func TestPutSucceedsAfterALostResponse(t *testing.T) {
	t.Parallel()
	server, client := cloud(t)
	server.AddFault(localaws.Fault{Operation: "s3:PutObject", Times: 1, DropReply: true})
	if got, err := put(t, client, build(t, folder(t))); err != nil || !got.Reused {
		t.Errorf("%+v %v", got, err)
	}
	wantOperations(t, server, "s3:PutObject", "s3:PutObject", "s3:HeadObject")
}

// The object may be of any size, with a checksum or, of another tool, without one.
func TestStoreReadsNoMoreThanABundleMayHave(t *testing.T) {
	t.Parallel()
	server, client := cloud(t)
	large := make([]byte, deploy.MaxBundle+1)
	write := func(key string, checksum types.ChecksumAlgorithm) {
		t.Helper()
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: bytes.NewReader(large), ChecksumAlgorithm: checksum})
		if err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256(large)
	find := func(sha256 string) error {
		_, err := newStore(client).Find(t.Context(), atta(t), sha256)
		return err
	}
	write(bundleKey, types.ChecksumAlgorithmCrc32)
	if err := find(hex.EncodeToString(sum[:])); err == nil || !strings.Contains(err.Error(), "it has 33554433 bytes, and a bundle may have 33554432") {
		t.Error(err)
	}
	if slices.Contains(operations(server), "s3:GetObject") {
		t.Error("it was downloaded")
	}
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(bundleKey)}); err != nil {
		t.Fatal(err)
	}
	write(oldKey, types.ChecksumAlgorithmSha256)
	if err := find(strings.Repeat("0", 64)); err == nil || !strings.Contains(err.Error(), "it has more than 33554432 bytes") {
		t.Error(err)
	}
}
