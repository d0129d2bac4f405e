package localaws

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// unwrapPayload checks the body against x-amz-content-sha256 and decodes the
// aws-chunked encoding
// (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html).
func unwrapPayload(r *request, payload string) error {
	switch {
	case payload == "UNSIGNED-PAYLOAD":
		return nil
	case payload == "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
		content, trailer, err := decodeChunks(r.body)
		if err != nil || r.Header.Get("X-Amz-Decoded-Content-Length") != strconv.Itoa(len(content)) {
			return &Error{Code: "IncompleteBody", Message: "The request body terminated unexpectedly"}
		}
		r.body = content
		copyHeader(r.Header, trailer)
		return nil
	case strings.HasPrefix(payload, "STREAMING-"):
		return &Error{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "Signed chunks are not implemented"}
	case payload != hexSHA256(r.body):
		return &Error{Code: "XAmzContentSHA256Mismatch", Message: "The provided 'x-amz-content-sha256' header does not match what was computed."}
	}
	return nil
}

func decodeChunks(body []byte) (content []byte, trailer http.Header, err error) {
	in := textproto.NewReader(bufio.NewReader(bytes.NewReader(body)))
	for {
		line, err := in.ReadLine()
		if err != nil {
			return nil, nil, err
		}
		size, err := strconv.ParseUint(line, 16, 31)
		if err != nil {
			return nil, nil, err
		}
		if size == 0 {
			header, err := in.ReadMIMEHeader()
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, nil, err
			}
			return content, http.Header(header), nil
		}
		chunk := make([]byte, size)
		if _, err := io.ReadFull(in.R, chunk); err != nil {
			return nil, nil, err
		}
		content = append(content, chunk...)
		if _, err := in.ReadLine(); err != nil {
			return nil, nil, err
		}
	}
}

const checksumPrefix = "X-Amz-Checksum-"

// checksums are the algorithms of
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html.
var checksums = map[string]func() hash.Hash{
	"Crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"Crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"Crc64nvme": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	"Sha1":      sha1.New,
	"Sha256":    sha256.New,
}

// verifyChecksums compares the body with every checksum in the request and returns these,
// or the CRC-64/NVME that S3 adds if there is none.
func verifyChecksums(r *request) (http.Header, error) {
	if want := r.Header.Get("Content-Md5"); want != "" {
		if err := compareChecksum("Content-MD5", want, checksumOf(md5.New(), r.body), "InvalidDigest"); err != nil {
			return nil, err
		}
	}
	found := http.Header{checksumPrefix + "Type": {"FULL_OBJECT"}}
	for _, algorithm := range slices.Sorted(maps.Keys(checksums)) {
		name := checksumPrefix + algorithm
		want := r.Header.Get(name)
		if want == "" {
			continue
		}
		if err := compareChecksum(strings.ToLower(name), want, checksumOf(checksums[algorithm](), r.body), "InvalidRequest"); err != nil {
			return nil, err
		}
		found.Set(name, want)
	}
	if len(found) == 1 {
		found.Set(checksumPrefix+"Crc64nvme", base64.StdEncoding.EncodeToString(checksumOf(checksums["Crc64nvme"](), r.body)))
	}
	return found, nil
}

func checksumOf(h hash.Hash, content []byte) []byte {
	h.Write(content)
	return h.Sum(nil)
}

func compareChecksum(name, want string, got []byte, malformed string) error {
	decoded, err := base64.StdEncoding.DecodeString(want)
	if err != nil || len(decoded) != len(got) {
		return &Error{Code: malformed, Message: fmt.Sprintf("Value for %s header is invalid.", name)}
	}
	if !bytes.Equal(decoded, got) {
		return &Error{Code: "BadDigest", Message: fmt.Sprintf("The %s you specified did not match the calculated checksum.", name)}
	}
	return nil
}
