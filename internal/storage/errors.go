package storage

import (
	"errors"
	"fmt"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// UnusableError reports that the bucket does not exist or is in another region than the requests.
type UnusableError struct {
	Bucket, Region string
	Actual         string // the bucket's region; empty: the bucket does not exist
	cause          error
}

func (e *UnusableError) Error() string {
	if e.Actual == "" {
		return fmt.Sprintf("the bucket %s does not exist", e.Bucket)
	}
	return fmt.Sprintf("the bucket %s is in region %s, not in %s", e.Bucket, e.Actual, e.Region)
}

func (e *UnusableError) Unwrap() error { return e.cause }

// explainBucket returns an UnusableError or ErrArchived for the answers of S3 that mean one, and any other error as it is. S3 names the
// region of a bucket that is addressed in another one, and the SDK does not follow:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html#RESTRedirect
func explainBucket(l Location, err error) error {
	if errorCode(err) == "NoSuchBucket" {
		return &UnusableError{Bucket: l.Bucket, Region: l.Region, cause: err}
	}
	if errorCode(err) == "InvalidObjectState" {
		return fmt.Errorf("%w: %w", ErrArchived, err)
	}
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil {
		return err
	}
	if actual := response.Response.Header.Get("X-Amz-Bucket-Region"); actual != "" && actual != l.Region {
		return &UnusableError{Bucket: l.Bucket, Region: l.Region, Actual: actual, cause: err}
	}
	return err
}

// ErrArchived is returned for an object whose content cannot be read, because a lifecycle rule has moved it to an archive.
var ErrArchived = errors.New("it is archived")

const conflict = "ConditionalRequestConflict"

// IsConflict reports whether a Put was refused because another write came first.
func IsConflict(err error) bool {
	switch errorCode(err) {
	case "PreconditionFailed", conflict, "NoSuchKey":
		return true
	}
	return false
}

// IsMissing reports whether a Get or a Head found no object. S3 also says so of a Head in a bucket that does not exist.
func IsMissing(err error) bool {
	code := errorCode(err)
	return code == "NoSuchKey" || code == "NotFound"
}

// IsDenied reports whether S3 refused the request. Without s3:ListBucket, it refuses to read an object that does not exist:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func IsDenied(err error) bool {
	code := errorCode(err)
	return code == "AccessDenied" || code == "Forbidden"
}

// IsPermanent reports whether a retry would return the same error.
func IsPermanent(err error) bool {
	var response *smithyhttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode()/100 == 4 || errors.As(err, new(*UnusableError))
}

func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
