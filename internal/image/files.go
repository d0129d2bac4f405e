package image

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxJSON is the maximum size of a manifest or config in bytes; registries accept 4 MiB.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
const maxJSON = 4 << 20

// errMissing is returned for a file that the image lists and does not contain.
var errMissing = errors.New("it is missing")

// files are the files of an image, in a folder or in a tar.
type files interface {
	findFile(name string) (file, error)
	describeContent() string // for an error, if it is not an image
}

type file struct {
	name string
	size int64
	open func() (io.ReadCloser, error)
}

// readAll returns the whole of a small file and its digest.
func (f file) readAll() ([]byte, v1.Hash, error) {
	if f.size > maxJSON {
		return nil, v1.Hash{}, fmt.Errorf("%s: %d bytes are larger than the limit of %d", f.name, f.size, maxJSON)
	}
	r, err := f.open()
	if err != nil {
		return nil, v1.Hash{}, err
	}
	defer r.Close()
	data := make([]byte, f.size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, v1.Hash{}, fmt.Errorf("%s: %w", f.name, err)
	}
	return data, digestOf(data), nil
}

// decodeJSON reads a small JSON file into v.
func (f file) decodeJSON(v any) ([]byte, v1.Hash, error) {
	data, digest, err := f.readAll()
	if err != nil {
		return nil, v1.Hash{}, err
	}
	if err := decodeJSON(data, v); err != nil {
		return nil, v1.Hash{}, fmt.Errorf("%s: %w", f.name, err)
	}
	return data, digest, nil
}

// decodeJSON decodes a JSON text of an image into v. Its error names the field that is wrong, and no type of Go.
func decodeJSON(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	var mistyped *json.UnmarshalTypeError
	switch {
	case err == nil, errors.As(err, new(*json.SyntaxError)):
		return err
	case errors.As(err, &mistyped) && mistyped.Field != "":
		return fmt.Errorf("%s must not be a JSON %s", mistyped.Field, mistyped.Value)
	case mistyped != nil:
		return fmt.Errorf("it must not be a JSON %s", mistyped.Value)
	}
	return errors.New("a time or digest in it is malformed")
}

func digestOf(data []byte) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sha256.Sum256(data))}
}

// describeLink names the target of a link that leads nowhere. Bazel and Nix link to files outside the workspace, which a
// container action does not see.
func describeLink(name string) string {
	target, err := os.Readlink(name)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(", %s is a link to %s, which this action cannot see: copy the image into the workspace with cp -rL", name, target)
}

// relativePath turns a name in an image into a relative path that cannot leave the image.
func relativePath(name string) string {
	return path.Clean("/" + name)[1:]
}

// folder is an image unpacked in a folder.
type folder string

func (d folder) findFile(name string) (file, error) {
	full := filepath.Join(string(d), filepath.FromSlash(relativePath(name)))
	info, err := os.Stat(full)
	if errors.Is(err, fs.ErrNotExist) {
		return file{}, fmt.Errorf("%s: %w%s", name, errMissing, describeLink(full))
	}
	if err != nil {
		return file{}, err
	}
	if !info.Mode().IsRegular() {
		return file{}, fmt.Errorf("%s: not a file", name)
	}
	return file{name, info.Size(), func() (io.ReadCloser, error) { return os.Open(full) }}, nil
}

// describeContent also names what may be the image, such as the archive in the folder of a downloaded artifact.
func (d folder) describeContent() string {
	text := "a folder without the index.json of an OCI layout"
	for _, pattern := range []string{"*.tar", "*/*.tar", "*/index.json"} {
		if found, _ := fs.Glob(os.DirFS(string(d)), pattern); len(found) > 0 {
			inside := strings.TrimSuffix(found[0], "/index.json")
			return fmt.Sprintf("%s, but with %s in it; set image: %s", text, inside, filepath.Join(string(d), inside))
		}
	}
	return text
}
