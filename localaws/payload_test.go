package localaws_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func checksum(content string) *string {
	sum := sha256.Sum256([]byte(content))
	return aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

func TestPutObjectRefusesAWrongChecksum(t *testing.T) {
	s, client := storage(t)
	tests := map[string]struct {
		change func(*s3.PutObjectInput)
		code   string
	}{
		"sha256 of other bytes": {func(in *s3.PutObjectInput) { in.ChecksumSHA256 = checksum("other") }, "BadDigest"},
		"sha256 malformed":      {func(in *s3.PutObjectInput) { in.ChecksumSHA256 = aws.String("AAAA") }, "InvalidRequest"},
		"crc32 of other bytes":  {func(in *s3.PutObjectInput) { in.ChecksumCRC32 = aws.String("AAAAAA==") }, "BadDigest"},
		"crc64 of other bytes":  {func(in *s3.PutObjectInput) { in.ChecksumCRC64NVME = aws.String("AAAAAAAAAAA=") }, "BadDigest"},
		"md5 of other bytes":    {func(in *s3.PutObjectInput) { in.ContentMD5 = aws.String("AAAAAAAAAAAAAAAAAAAAAA==") }, "BadDigest"},
		"md5 malformed":         {func(in *s3.PutObjectInput) { in.ContentMD5 = aws.String("AAAA") }, "InvalidDigest"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := putInput("k", "v")
			test.change(in)
			_, err := client.PutObject(t.Context(), in)
			wantCode(t, err, test.code)
			if _, ok := s.Object("artifacts", "k"); ok {
				t.Error("object was stored")
			}
		})
	}
}

func TestChecksumsAgreeWithTheSDK(t *testing.T) {
	_, client := storage(t)
	for _, algorithm := range []types.ChecksumAlgorithm{
		types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256,
	} {
		in := putInput(string(algorithm), "123456789")
		in.ChecksumAlgorithm = algorithm
		if _, err := client.PutObject(t.Context(), in); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// Over TLS, SDKs send chunks without signatures, followed by a checksum.
func TestStreamedBodiesAreUnwrapped(t *testing.T) {
	s, _ := storage(t)
	send := func(payload, body string, header map[string]string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL()+"/artifacts/k", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Amz-Content-Sha256", payload)
		for name, value := range header {
			request.Header.Set(name, value)
		}
		keys, err := s.Config().Credentials.Retrieve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := v4.NewSigner().SignHTTP(t.Context(), keys, request, payload, "s3", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	header := map[string]string{"Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": "8", "X-Amz-Trailer": "x-amz-checksum-crc32"}
	good := "5\r\nhello\r\n3\r\nyou\r\n0\r\nx-amz-checksum-crc32:ZjkUGQ==\r\n\r\n"
	bad := strings.Replace(good, "ZjkU", "ZjkV", 1)
	const trailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	if status := send(trailer, bad, header); status != 400 {
		t.Errorf("wrong trailer answered %d", status)
	}
	if status := send(trailer, good, header); status != 200 {
		t.Errorf("good trailer answered %d", status)
	}
	if content, _ := s.Object("artifacts", "k"); string(content) != "helloyou" {
		t.Errorf("stored %q", content)
	}
	long := map[string]string{"X-Amz-Decoded-Content-Length": "9"}
	if status := send(trailer, good, long); status != 400 {
		t.Errorf("body shorter than promised answered %d", status)
	}
	if status := send(trailer, good[:20], header); status != 400 {
		t.Errorf("cut body answered %d", status)
	}
	if status := send("UNSIGNED-PAYLOAD", "plain", nil); status != 200 {
		t.Errorf("unsigned payload answered %d", status)
	}
	if status := send(strings.Repeat("0", 64), "plain", nil); status != 400 {
		t.Errorf("payload of another hash answered %d", status)
	}
}
