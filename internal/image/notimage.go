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

// looks are beginnings of files that are given for an image by mistake.
var looks = []struct{ magic, name string }{
	{"PK\x03\x04", "a zip archive"},
	{"\x7fELF", "a Linux program (ELF)"},
	{"\xfd7zXZ\x00", "xz data"},
	{"\x28\xb5\x2f\xfd", "zstd data"},
	{"BZh", "bzip2 data"},
	{"\x1f\x8b", "gzip data within gzip"},
	{"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file it stands for"},
	{"{", "JSON text"},
}

// looksLike says what a file that is no tar seems to be.
func looksLike(r io.ReaderAt) string {
	head := make([]byte, 512)
	n, _ := r.ReadAt(head, 0)
	head = head[:n]
	if n == 0 {
		return "an empty file"
	}
	if len(bytes.Trim(head, "\x00")) == 0 {
		return "an empty tar"
	}
	for _, look := range looks {
		if bytes.HasPrefix(head, []byte(look.magic)) {
			return look.name
		}
	}
	if n == 512 && string(head[257:262]) == "ustar" {
		return "a truncated or damaged tar"
	}
	kind, _, _ := strings.Cut(http.DetectContentType(head), ";")
	return kind
}
