package localaws_test

import (
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
	"github.com/org/atta-deploy-action/localaws"
)

// storage returns a server with the bucket "artifacts" and a client without retries.
func storage(t *testing.T) (*localaws.Server, *s3.Client) {
	t.Helper()
	s := start(t, localaws.Options{})
	s.CreateBucket("artifacts")
	s.CreateBucket("theirs", localaws.OwnedBy("999999999999"))
	return s, s3.NewFromConfig(once(s))
}

func putInput(key, content string) *s3.PutObjectInput {
	return &s3.PutObjectInput{Bucket: aws.String("artifacts"), Key: aws.String(key), Body: strings.NewReader(content)}
}

func TestObjectIsReadBackUnchanged(t *testing.T) {
	s, client := storage(t)
	key, content := "bundles/dev/a b+c=ä.tar.gz", "0123456789"
	in := putInput(key, content)
	in.ChecksumSHA256 = checksum(content)
	in.ExpectedBucketOwner = aws.String(account)
	in.ContentType = aws.String("application/gzip")
	in.Metadata = map[string]string{"version": "1"}
	in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, aws.String("key-1")
	put, err := client.PutObject(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if put.ServerSideEncryption != "aws:kms" || *put.ETag == fmt.Sprintf(`"%x"`, md5.Sum([]byte(content))) {
		t.Errorf("encrypted write answered %+v", put)
	}
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{
		Bucket: in.Bucket, Key: in.Key, ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		t.Fatal(err)
	}
	if *head.ETag != *put.ETag || *head.ContentLength != 10 || *head.ChecksumSHA256 != *in.ChecksumSHA256 || *head.ContentType != "application/gzip" ||
		head.Metadata["version"] != "1" || *head.SSEKMSKeyId != "key-1" || time.Since(*head.LastModified) > time.Minute {
		t.Errorf("head is %+v", head)
	}
	get, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: in.Bucket, Key: in.Key})
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(get.Body); err != nil || string(body) != content {
		t.Errorf("body is %q, %v", body, err)
	}
	ranged, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: in.Bucket, Key: in.Key, Range: aws.String("bytes=2-4")})
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(ranged.Body); err != nil || string(body) != "234" || *ranged.ContentRange != "bytes 2-4/10" {
		t.Errorf("range is %q, %v", body, err)
	}
	_, err = client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: in.Bucket, Key: in.Key, Range: aws.String("bytes=10-")})
	wantCode(t, err, "InvalidRange")
	if stored, ok := s.Object("artifacts", key); !ok || string(stored) != content {
		t.Errorf("stored is %q, %v", stored, ok)
	}
	if last := s.Calls()[0]; last.Resource != "artifacts/"+key {
		t.Errorf("call is about %q", last.Resource)
	}
}

func TestConcurrentConditionalWritesHaveOneWinner(t *testing.T) {
	s, client := storage(t)
	var won atomic.Int32
	var writers sync.WaitGroup
	for n := range 10 {
		writers.Go(func() {
			in := putInput("lock", fmt.Sprint(n))
			in.IfNoneMatch = aws.String("*")
			if _, err := client.PutObject(t.Context(), in); err == nil {
				won.Add(1)
			}
		})
	}
	writers.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d writers won", won.Load())
	}
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("artifacts"), Key: aws.String("lock")})
	if err != nil {
		t.Fatal(err)
	}
	swap := putInput("lock", "next")
	swap.IfMatch = head.ETag
	if _, err := client.PutObject(t.Context(), swap); err != nil {
		t.Fatal(err)
	}
	swap.Body = strings.NewReader("again")
	_, err = client.PutObject(t.Context(), swap)
	wantCode(t, err, "PreconditionFailed")
	missing := putInput("nowhere", "x")
	missing.IfMatch = head.ETag
	_, err = client.PutObject(t.Context(), missing)
	wantCode(t, err, "NoSuchKey")
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: swap.Bucket, Key: swap.Key, IfMatch: head.ETag})
	wantCode(t, err, "PreconditionFailed")
	if content, _ := s.Object("artifacts", "lock"); string(content) != "next" {
		t.Errorf("lock holds %q", content)
	}
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: swap.Bucket, Key: swap.Key}); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Object("artifacts", "lock"); ok {
		t.Error("object outlived its deletion")
	}
}

func TestFailedConditionalReadsHaveNoBody(t *testing.T) {
	_, client := storage(t)
	put, err := client.PutObject(t.Context(), putInput("k", "v"))
	if err != nil {
		t.Fatal(err)
	}
	in := &s3.GetObjectInput{Bucket: aws.String("artifacts"), Key: aws.String("k"), IfNoneMatch: put.ETag}
	_, err = client.GetObject(t.Context(), in)
	wantCode(t, err, "NotModified")
	in.IfNoneMatch, in.IfMatch = nil, aws.String(`"other"`)
	_, err = client.GetObject(t.Context(), in)
	wantCode(t, err, "PreconditionFailed")
}

func TestMissingAndForeignBucketsGetS3sErrors(t *testing.T) {
	_, client := storage(t)
	_, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("artifacts"), Key: aws.String("k")})
	wantCode(t, err, "NoSuchKey")
	_, err = client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("artifacts"), Key: aws.String("k")})
	wantCode(t, err, "NotFound")
	_, err = client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("nobody"), Key: aws.String("k")})
	wantCode(t, err, "NoSuchBucket")
	_, err = client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("nobody")})
	wantCode(t, err, "NotFound")
	if out, err := client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("artifacts")}); err != nil || *out.BucketRegion != "us-east-1" {
		t.Errorf("bucket is in %v, %v", out, err)
	}
	if out, err := client.GetBucketLocation(t.Context(), &s3.GetBucketLocationInput{Bucket: aws.String("artifacts")}); err != nil || out.LocationConstraint != "" {
		t.Errorf("location is %v, %v", out, err)
	}
	in := putInput("k", "v")
	in.Bucket, in.ExpectedBucketOwner = aws.String("theirs"), aws.String(account)
	_, err = client.PutObject(t.Context(), in)
	wantCode(t, err, "AccessDenied")
}

func TestListObjectsReturnsFoldersAndPages(t *testing.T) {
	_, client := storage(t)
	for _, key := range []string{"a", "b/1", "b/2", "c", "d+ä"} {
		if _, err := client.PutObject(t.Context(), putInput(key, key)); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{
		Bucket: aws.String("artifacts"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(2),
	})
	count := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		count++
		for _, o := range page.Contents {
			names = append(names, *o.Key)
		}
		for _, p := range page.CommonPrefixes {
			names = append(names, *p.Prefix)
		}
	}
	if diff := cmp.Diff([]string{"a", "b/", "c", "d+ä"}, names); diff != "" || count != 2 {
		t.Errorf("%d pages: %s", count, diff)
	}
	under, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("artifacts"), Prefix: aws.String("b/")})
	if err != nil || *under.KeyCount != 2 {
		t.Errorf("under b/ there is %v, %v", under, err)
	}
}

func TestMultipartIsNotServed(t *testing.T) {
	_, client := storage(t)
	_, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("artifacts"), Key: aws.String("k")})
	wantCode(t, err, "NotImplemented")
	var response interface{ HTTPStatusCode() int }
	if !errors.As(err, &response) || response.HTTPStatusCode() != 501 {
		t.Errorf("error is %v", err)
	}
}
