package localaws

import (
	"errors"
	"net/http"
	"strings"
)

// s3Actions are the actions of operations whose action has another name
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html).
var s3Actions = map[string]string{"HeadObject": "GetObject", "HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket"}

// authorizeBucket checks the permissions for a request.
func authorizeBucket(r *request, b *bucket, key string) error {
	action := "s3:" + r.operation
	if other, ok := s3Actions[r.operation]; ok {
		action = "s3:" + other
	}
	if action == "s3:GetObject" && r.URL.Query().Has("versionId") {
		action = "s3:GetObjectVersion"
	}
	if err := authorizeS3(r, b, action, key); err != nil || r.Method != http.MethodPut {
		return err
	}
	if r.Header.Get("If-Match") != "" { // which compares the object:
		// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
		if err := authorizeS3(r, b, "s3:GetObject", key); err != nil {
			return err
		}
	}
	if b.key != "" && r.Header.Get(encryption) == "" {
		r.Header.Set(encryption, "aws:kms")
		r.Header.Set(encryption+"-Aws-Kms-Key-Id", b.key)
	}
	return authorizeKey(r, r.Header, "kms:GenerateDataKey")
}

// authorizeS3 checks one permission on the bucket, or on an object of it.
func authorizeS3(r *request, b *bucket, action, key string) error {
	needed := permissionOf{action: action, resource: b.arn, policy: &b.policy, owner: b.owner, keys: map[string]string{}}
	if key != "" {
		needed.resource += "/" + key
	}
	for _, header := range []string{"If-Match", "If-None-Match", encryption} {
		if value := r.Header.Get(header); value != "" {
			needed.keys["s3:"+strings.ToLower(header)] = value
		}
	}
	err := r.authorize(needed)
	if denied := (denial{}); errors.As(err, &denied) { // S3 alone puts the resource in quotes
		return denial{strings.Replace(denied.message, needed.resource, `"`+needed.resource+`"`, 1)}
	}
	return err
}

// authorizeKey checks the permission to use the key that the headers of an object name, if they name one
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms).
func authorizeKey(r *request, header http.Header, action string) error {
	key := header.Get(encryption + "-Aws-Kms-Key-Id")
	if !strings.HasPrefix(key, "arn:") {
		return nil // none, or one in a form that policies do not use
	}
	return r.authorize(permissionOf{action: action, resource: key})
}
