package localaws_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/org/atta-deploy-action/localaws"
)

func TestBucketInAnotherRegionAnswersWithItsRegion(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateBucket("artifacts", localaws.InRegion("eu-west-1"))
	client := s3.NewFromConfig(once(s))
	_, get := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("artifacts"), Key: aws.String("k")})
	_, put := client.PutObject(t.Context(), putInput("k", "v"))
	_, head := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("artifacts"), Key: aws.String("k")})
	for name, err := range map[string]error{"get": get, "put": put, "head": head} {
		var response *smithyhttp.ResponseError
		if !errors.As(err, &response) || response.HTTPStatusCode() != http.StatusMovedPermanently || response.Response.Header.Get("x-amz-bucket-region") != "eu-west-1" {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantCode(t, get, "PermanentRedirect")
}

func TestBucketPolicyCanRequireEncryption(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateBucket("artifacts", localaws.RequireEncryption("aws:kms"))
	client := s3.NewFromConfig(once(s))
	for _, encryption := range []types.ServerSideEncryption{"", types.ServerSideEncryptionAes256} {
		in := putInput("k", "v")
		in.ServerSideEncryption = encryption
		_, err := client.PutObject(t.Context(), in)
		wantCode(t, err, "AccessDenied")
	}
	in := putInput("k", "v")
	in.ServerSideEncryption = types.ServerSideEncryptionAwsKms
	if _, err := client.PutObject(t.Context(), in); err != nil {
		t.Error(err)
	}
	in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAes256, aws.String("key")
	s.CreateBucket("artifacts")
	_, err := client.PutObject(t.Context(), in)
	wantCode(t, err, "InvalidArgument")
}

func TestObjectLockRequiresAChecksum(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateBucket("artifacts", localaws.WithObjectLock())
	config := once(s)
	config.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	client := s3.NewFromConfig(config)
	_, err := client.PutObject(t.Context(), putInput("k", "v"))
	wantCode(t, err, "InvalidRequest")
	in := putInput("k", "v")
	in.ChecksumSHA256 = checksum("v")
	if _, err := client.PutObject(t.Context(), in); err != nil {
		t.Error(err)
	}
}
