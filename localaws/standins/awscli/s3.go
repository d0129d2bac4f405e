package awscli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// copyObject is aws s3 cp, one file or object, - for standard input and output.
func copyObject(ctx context.Context, config aws.Config, given instance.Options, from, to string) error {
	client := s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	verb, err := "upload", error(nil)
	switch {
	case strings.HasPrefix(from, "s3://") && !strings.HasPrefix(to, "s3://"):
		verb = "download"
		to, err = downloadObject(ctx, client, from, to)
	case strings.HasPrefix(to, "s3://") && !strings.HasPrefix(from, "s3://"):
		err = uploadObject(ctx, client, given, from, to)
	default:
		return exitError{usageError, errors.New("usage: aws s3 cp <LocalPath> <S3Uri> or <S3Uri> <LocalPath>")}
	}
	if err != nil && strings.HasPrefix(err.Error(), "fatal error: ") { // before the transfer begins
		return exitError{transferFailed, err}
	}
	if err != nil {
		return exitError{transferFailed, fmt.Errorf("%s failed: %s to %s %w", verb, from, to, err)}
	}
	if to != "-" && !given.Has("only-show-errors") && !given.Has("quiet") {
		fmt.Printf("%s: %s to %s\n", verb, from, to)
	}
	return nil
}

func bucketKey(uri string) (bucket, key *string) {
	b, k, _ := strings.Cut(strings.TrimPrefix(uri, "s3://"), "/")
	return &b, &k
}

func downloadObject(ctx context.Context, client *s3.Client, from, to string) (string, error) {
	bucket, key := bucketKey(from)
	// The CLI asks with HEAD first, whose answer has no code but the status.
	_, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: key})
	if answer := (*awshttp.ResponseError)(nil); errors.As(err, &answer) {
		switch answer.HTTPStatusCode() {
		case http.StatusNotFound:
			return to, fmt.Errorf("fatal error: An error occurred (404) when calling the HeadObject operation: Key %q does not exist", *key)
		case http.StatusForbidden:
			return to, errors.New("fatal error: An error occurred (403) when calling the HeadObject operation: Forbidden")
		}
	}
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return to, apiError("GetObject", err)
	}
	defer out.Body.Close()
	if to == "-" {
		_, err := io.Copy(os.Stdout, out.Body)
		return to, err
	}
	if info, err := os.Stat(to); (err == nil && info.IsDir()) || strings.HasSuffix(to, "/") {
		to = filepath.Join(to, filepath.Base(*key))
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return to, err
	}
	// The object arrives under another name, so that to is never half of it.
	file, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".")
	if err != nil {
		return to, err
	}
	defer os.Remove(file.Name())
	_, err = io.Copy(file, out.Body)
	if err := errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return to, err
	}
	return to, os.Rename(file.Name(), to)
}

func uploadObject(ctx context.Context, client *s3.Client, given instance.Options, from, to string) error {
	body := io.Reader(os.Stdin)
	if from != "-" {
		file, err := os.Open(from)
		if err != nil {
			return err
		}
		defer file.Close()
		body = file
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	bucket, key := bucketKey(to)
	if *key == "" || strings.HasSuffix(*key, "/") {
		*key += filepath.Base(from)
	}
	input := &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader(string(content))}
	if kms := given.Last("sse-kms-key-id"); kms != "" {
		input.ServerSideEncryption, input.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, aws.String(kms)
	}
	if _, err := client.PutObject(ctx, input); err != nil {
		return apiError("PutObject", err)
	}
	return nil
}
