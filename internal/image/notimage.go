package image

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
)

func notImage(f files) error {
	return fmt.Errorf("not an image: %s", f.describeContent())
}

// signatures are the first bytes of files that are passed as an image by mistake.
var signatures = []struct{ magic, name string }{
	{"PK\x03\x04", "a zip archive"},
	{"\x7fELF", "a Linux program (ELF)"},
	{"\xfd7zXZ\x00", "xz data, which has to be unpacked first"},
	{"\x28\xb5\x2f\xfd", "zstd data within compressed data"},
	{"BZh", "bzip2 data, which has to be unpacked first"},
	{"\x1f\x8b", "gzip data within compressed data"},
	{"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file it stands for"},
	{"{", "JSON text"},
}

// describeFile returns what a file that is not a tar seems to be.
func describeFile(r io.ReaderAt) string {
	head := make([]byte, 512)
	n, _ := r.ReadAt(head, 0)
	head = head[:n]
	if n == 0 {
		return "an empty file"
	}
	if len(bytes.Trim(head, "\x00")) == 0 {
		return "an empty tar"
	}
	for _, signature := range signatures {
		if bytes.HasPrefix(head, []byte(signature.magic)) {
			return signature.name
		}
	}
	if n == 512 && string(head[257:262]) == "ustar" {
		return "a truncated or damaged tar"
	}
	kind, _, _ := strings.Cut(http.DetectContentType(head), ";")
	return kind
}
