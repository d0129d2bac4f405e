package localaws

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// storedObject is an object with the headers that a read returns as they were written.
type storedObject struct {
	content   []byte
	etag      string
	modified  time.Time
	header    http.Header
	checksums http.Header // returned on request
	class     string      // of an archive; empty: it can be read
}

var (
	noSuchKey    = &Error{Status: http.StatusNotFound, Code: "NoSuchKey", Message: "The specified key does not exist."}
	archived     = &Error{Status: http.StatusForbidden, Code: "InvalidObjectState", Message: "The operation is not valid for the object's storage class"}
	preCondition = &Error{Status: http.StatusPreconditionFailed, Code: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold"}
)

// putObject follows https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html.
func (s *s3) putObject(w http.ResponseWriter, r *request, b *bucket, key string) error {
	if r.Header.Get("X-Amz-Copy-Source") != "" {
		return &Error{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "CopyObject is not implemented"}
	}
	if err := checkHeaders(r, b); err != nil {
		return err
	}
	old, exists := b.objects[key]
	switch r.Header.Get("If-None-Match") {
	case "":
	case "*":
		if exists {
			return preCondition
		}
	default:
		return &Error{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "If-None-Match supports only * on a write"}
	}
	if err := checkIfMatch(r, old, exists); err != nil {
		return err
	}
	checksums, err := verifyChecksums(r)
	if err != nil {
		return err
	}
	o := storedObject{content: r.body, modified: s.now(), header: storedHeaders(r.Header), checksums: checksums}
	sum := md5.Sum(r.body)
	if strings.HasPrefix(o.header.Get(encryption), "aws:kms") { // with KMS, the ETag is not the MD5 of the content
		sum = md5.Sum(append(sum[:], "kms"...))
	}
	o.etag = `"` + hex.EncodeToString(sum[:]) + `"`
	b.objects[key] = o
	w.Header().Set("ETag", o.etag)
	copyHeader(w.Header(), o.checksums)
	for name, values := range o.header {
		if strings.HasPrefix(name, encryption) {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// checkHeaders refuses a write whose headers are not valid, or not for a bucket with Object Lock.
func checkHeaders(r *request, b *bucket) error {
	asked := r.Header.Get(encryption)
	switch {
	case asked != "" && !slices.Contains([]string{"AES256", "aws:kms", "aws:kms:dsse"}, asked):
		return &Error{Code: "InvalidArgument", Message: "The encryption method specified is not supported"}
	case asked == "AES256" && r.Header.Get(encryption+"-Aws-Kms-Key-Id") != "":
		return &Error{Code: "InvalidArgument", Message: "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"}
	case b.locked && r.Header.Get("Content-Md5") == "" && !hasChecksum(r.Header):
		return &Error{Code: "InvalidRequest", Message: "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"}
	}
	return nil
}

// hasChecksum reports whether a request has a checksum, in a header or in a trailer.
func hasChecksum(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-Checksum-") {
			return true
		}
	}
	return h.Get("X-Amz-Trailer") != ""
}

const encryption = "X-Amz-Server-Side-Encryption"

// storedHeaders returns the headers of a write that a read returns.
func storedHeaders(h http.Header) http.Header {
	out := http.Header{"Content-Type": {"binary/octet-stream"}, encryption: {"AES256"}}
	for name, values := range h {
		switch {
		case name == "Content-Type", name == "Cache-Control", name == "Content-Disposition", name == "Content-Language",
			strings.HasPrefix(name, "X-Amz-Meta-"), strings.HasPrefix(name, encryption):
			out[name] = values
		case name == "Content-Encoding":
			encoding := strings.Trim(strings.Replace(values[0], "aws-chunked", "", 1), ", ")
			if encoding != "" {
				out.Set(name, encoding)
			}
		}
	}
	return out
}

func copyHeader(to, from http.Header) {
	for name, values := range from {
		to[name] = values
	}
}

// checkIfMatch checks the condition If-Match.
func checkIfMatch(r *request, o storedObject, exists bool) error {
	want := r.Header.Get("If-Match")
	switch {
	case want == "":
		return nil
	case !exists:
		return noSuchKey
	case want != "*" && strings.Trim(want, `"`) != strings.Trim(o.etag, `"`):
		return preCondition
	}
	return nil
}

func getObject(w http.ResponseWriter, r *request, b *bucket, key string) error {
	o, ok := b.objects[key]
	if !ok {
		// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_RequestSyntax
		if err := authorizeS3(r, b, "s3:ListBucket", ""); err != nil {
			return err
		}
		return noSuchKey
	}
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html#API_HeadObject_RequestSyntax
	if r.Method == http.MethodGet || r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" {
		if err := authorizeKey(r, o.header, "kms:Decrypt"); err != nil {
			return err
		}
	}
	if err := checkIfMatch(r, o, true); err != nil {
		return err
	}
	if o.class != "" {
		if r.Method == http.MethodGet {
			return archived
		}
		w.Header().Set("X-Amz-Storage-Class", o.class)
	}
	ranged := r.Header.Get("Range")
	var first int
	if n, _ := fmt.Sscanf(ranged, "bytes=%d-", &first); n == 1 && first >= 0 && first >= len(o.content) {
		return &Error{Status: http.StatusRequestedRangeNotSatisfiable, Code: "InvalidRange", Message: "The requested range is not satisfiable"}
	}
	copyHeader(w.Header(), o.header)
	w.Header().Set("ETag", o.etag)
	if r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" && ranged == "" {
		copyHeader(w.Header(), o.checksums)
	}
	r.Header.Del("If-Match") // already checked; ServeContent would return another error
	http.ServeContent(w, r.Request, "", o.modified, bytes.NewReader(o.content))
	return nil
}

// deleteObject follows https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html.
func deleteObject(w http.ResponseWriter, r *request, b *bucket, key string) error {
	o, ok := b.objects[key]
	if err := checkIfMatch(r, o, ok); err != nil {
		return err
	}
	delete(b.objects, key)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
