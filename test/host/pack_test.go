package host_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/org/atta-deploy-action/internal/bundle"
)

// entry is one thing in a bundle, which need not be one that ought to be there.
type entry struct {
	tar.Header
	text string
}

func entries(t *testing.T, b bundle.Bundle) (all []entry) {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(b.Content))
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry{*header, string(text)})
	}
}

func drop(all []entry, name string) []entry {
	return slices.DeleteFunc(all, func(e entry) bool { return e.Name == name })
}

func pack(t *testing.T, all ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, e := range all {
		header := e.Header
		header.Format, header.Size = tar.FormatUnknown, int64(len(e.text))
		if err := archive.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// repacked puts another file in the bundle's place and names its sha256, so that
// only what is inside can give it away.
func repacked(edit func(bundle.Bundle) []byte) change {
	return func(a *attempt) {
		a.bundle = func(b bundle.Bundle) []byte {
			content := edit(b)
			sum := sha256.Sum256(content)
			a.parameters["sha256"] = hex.EncodeToString(sum[:])
			return content
		}
	}
}
