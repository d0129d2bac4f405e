package localaws

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/org/atta-deploy-action/localaws/iam"
)

// s3 serves path-style buckets with conditional writes.
type s3 struct {
	account, partition, region string
	keys                       *keyring
	now                        func() time.Time

	mu      sync.Mutex // held for a whole write, which makes conditions atomic
	buckets map[string]*bucket
}

type bucket struct {
	arn           string
	owner, region string
	policy        iam.Policy
	locked        bool   // Object Lock with a default retention
	key           string // of KMS, for writes that ask for no encryption
	objects       map[string]storedObject
}

func newS3(o Options, keys *keyring) *s3 {
	return &s3{account: o.Account, partition: o.Partition, region: o.Region, keys: keys, now: o.Now, buckets: map[string]*bucket{}}
}

// BucketOption sets a property of a new bucket.
type BucketOption func(*bucket)

// OwnedBy sets the account that owns the bucket.
func OwnedBy(account string) BucketOption { return func(b *bucket) { b.owner = account } }

// InRegion sets the region of the bucket; default is the server's.
func InRegion(region string) BucketOption { return func(b *bucket) { b.region = region } }

// WithPolicy adds the statements of a policy to the bucket's.
func WithPolicy(policy iam.Policy) BucketOption {
	return func(b *bucket) { b.policy.Statement = append(b.policy.Statement, policy.Statement...) }
}

// RequireEncryption adds a statement to the bucket's policy that denies writes without the header x-amz-server-side-encryption of this
// value: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingServerSideEncryption.html
func RequireEncryption(algorithm string) BucketOption {
	return func(b *bucket) {
		b.policy.Statement = append(b.policy.Statement, iam.Statement{
			Effect: "Deny", Principal: iam.Principals{"AWS": {"*"}}, Action: iam.List{"s3:PutObject"}, Resource: iam.List{b.arn + "/*"},
			Condition: map[string]map[string]iam.List{"StringNotEquals": {"s3:x-amz-server-side-encryption": {algorithm}}},
		})
	}
}

// EncryptedBy gives the bucket a key of KMS for writes that ask for no encryption:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-encryption.html
func EncryptedBy(key string) BucketOption { return func(b *bucket) { b.key = key } }

// WithObjectLock gives the bucket versions and a default retention, with which a write needs a checksum:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html#object-lock-put-object
func WithObjectLock() BucketOption { return func(b *bucket) { b.locked = true } }

// CreateBucket adds an empty bucket.
func (s *Server) CreateBucket(name string, opts ...BucketOption) {
	b := &bucket{
		arn:   "arn:" + s.options.Partition + ":s3:::" + name,
		owner: s.options.Account, region: s.options.Region, objects: map[string]storedObject{},
	}
	for _, set := range opts {
		set(b)
	}
	s.s3.mu.Lock()
	defer s.s3.mu.Unlock()
	s.s3.buckets[name] = b
}

// Object returns the content of an object.
func (s *Server) Object(bucket, key string) ([]byte, bool) {
	s.s3.mu.Lock()
	defer s.s3.mu.Unlock()
	b, ok := s.s3.buckets[bucket]
	if !ok {
		return nil, false
	}
	o, ok := b.objects[key]
	return o.content, ok
}

// ArchiveObject moves an object to an archive, as a lifecycle rule does, or back if class is empty: its properties can be read, and its
// content cannot. https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html#sc-glacier
func (s *Server) ArchiveObject(bucket, key, class string) {
	s.s3.mu.Lock()
	defer s.s3.mu.Unlock()
	o := s.s3.buckets[bucket].objects[key]
	o.class = class
	s.s3.buckets[bucket].objects[key] = o
}

func (s *s3) name(r *request) (string, string) {
	bucket, key := bucketAndKey(r)
	query := r.URL.Query()
	operation := map[string]string{
		http.MethodPut: "PutObject", http.MethodGet: "GetObject", http.MethodHead: "HeadObject", http.MethodDelete: "DeleteObject",
	}[r.Method]
	switch {
	case key != "" && (query.Has("uploadId") || query.Has("uploads") || query.Has("tagging") || query.Has("acl")):
		operation = "Unsupported"
	case key != "":
	case r.Method == http.MethodHead:
		operation = "HeadBucket"
	case r.Method == http.MethodGet && query.Has("location"):
		operation = "GetBucketLocation"
	case r.Method == http.MethodGet && query.Get("list-type") == "2":
		operation = "ListObjectsV2"
	default:
		operation = "Unsupported"
	}
	return "s3:" + operation, strings.TrimSuffix(bucket+"/"+key, "/")
}

func bucketAndKey(r *request) (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return bucket, key
}

func (s *s3) serve(w http.ResponseWriter, r *request) error {
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if err := s.keys.verifySignature(r, "s3", payload); err != nil {
		return err
	}
	if err := unwrapPayload(r, payload); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name, key := bucketAndKey(r)
	b, ok := s.buckets[name]
	if !ok {
		return &Error{Status: http.StatusNotFound, Code: "NoSuchBucket", Message: "The specified bucket does not exist"}
	}
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html#RESTRedirect
	if b.region != s.region {
		w.Header().Set("X-Amz-Bucket-Region", b.region)
		return &Error{Status: http.StatusMovedPermanently, Code: "PermanentRedirect", Message: "The bucket you are attempting to access " +
			"must be addressed using the specified endpoint. Please send all future requests to this endpoint."}
	}
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
	if owner := r.Header.Get("X-Amz-Expected-Bucket-Owner"); owner != "" && owner != b.owner {
		return &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access Denied"}
	}
	if err := authorizeBucket(r, b, key); err != nil {
		return err
	}
	switch r.operation {
	case "PutObject":
		return s.putObject(w, r, b, key)
	case "GetObject", "HeadObject":
		return getObject(w, r, b, key)
	case "DeleteObject":
		return deleteObject(w, r, b, key)
	case "ListObjectsV2":
		return listObjects(w, r, name, b)
	case "HeadBucket":
		w.Header().Set("X-Amz-Bucket-Region", s.region)
		w.WriteHeader(http.StatusOK)
		return nil
	case "GetBucketLocation":
		location := s.region
		if location == "us-east-1" { // for the oldest region, the location is empty
			location = ""
		}
		return writeXML(w, http.StatusOK, xmlLocation{Location: location})
	}
	return &Error{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "A header or query you provided implies functionality that is not implemented"}
}

func (s *s3) refuse(w http.ResponseWriter, r *request, err *Error) {
	if r.Method == http.MethodHead {
		w.WriteHeader(err.Status)
		return
	}
	_ = writeXML(w, err.Status, xmlError{Code: err.Code, Message: err.Message, Resource: r.URL.Path, RequestID: "localaws"})
}
