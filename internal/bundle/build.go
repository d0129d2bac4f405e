// Package bundle makes the deploy bundle of a release and keeps it in S3. It
// knows nothing of the instances that will unpack it.
package bundle

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/release"
)

// DefaultPath is where a repository keeps its own files by convention. It may be
// absent; a folder that was named on purpose may not.
const DefaultPath = "deploy"

// laptopFile serves a laptop, not a host, and is a link in the repository that it comes from.
const laptopFile = "deploy.mk"

// maxSize bounds a bundle, in bytes. It is read into memory, and it is for scripts
// and units: programs travel in the image.
const maxSize = 32 << 20

// deployScript is what bootstrap.sh hands over to, in package deploy's Files.
const deployScript = "ec2_deploy.sh"

// Bundle is a finished deploy-bundle-<version>.tar.gz.
type Bundle struct {
	Content []byte
	SHA256  string // hex
	Files   int
	Own     int // files that came from the repository
}

// file is one entry: its bytes and whether it may be executed.
type file struct {
	content    []byte
	executable bool
}

// Build packs the repository's folder over the defaults, with VERSION beside them.
// The same files give the same bytes on every machine. Mode is job, service or
// empty, and says which default unit is taken; one of the repository's own has to
// agree. Everything in the folder that must not travel is reported at once.
func Build(folder string, rel release.Release, mode string) (Bundle, error) {
	files, err := defaults(rel.Service, mode)
	if err != nil {
		return Bundle{}, err
	}
	own, err := read(folder, rel.Service)
	if _, replaced := own["deploy/"+deployScript]; replaced {
		// A script of the repository never meets a lib of another version.
		maps.DeleteFunc(files, func(name string, _ file) bool { return strings.HasPrefix(name, "deploy/lib/") })
	}
	maps.Copy(files, own)
	if err := errors.Join(err, checkUnits(folder, rel.Service, mode, own, files)); err != nil {
		return Bundle{}, err
	}
	files["VERSION"] = file{content: []byte(rel.Version.String() + "\n")}
	content, err := pack(files)
	if err != nil {
		return Bundle{}, fmt.Errorf("pack bundle: %w", err)
	}
	if len(content) > maxSize {
		return Bundle{}, fmt.Errorf("bundle-path %s makes a bundle of %d MB; at most %d MB: programs belong in the image",
			folder, len(content)>>20, maxSize>>20)
	}
	sum := sha256.Sum256(content)
	return Bundle{Content: content, SHA256: hex.EncodeToString(sum[:]), Files: len(files), Own: len(own)}, nil
}

func defaults(service, mode string) (map[string]file, error) {
	files := map[string]file{}
	unit := defaultUnits()[cmp.Or(mode, "job")]
	err := fs.WalkDir(deploy.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := deploy.Files.ReadFile(name)
		switch {
		case name == unit:
			name = "systemd/" + service + ".service"
		case path.Dir(name) == "systemd":
			return err
		}
		// An embedded file has no mode (https://pkg.go.dev/embed), and lib is only sourced.
		files[path.Join("deploy", name)] = file{content, name == deployScript}
		return err
	})
	return files, err
}

// plainName keeps every name readable in a listing and in a shell.
var plainName = regexp.MustCompile(`^[A-Za-z0-9._/+@ -]+$`)

func read(folder, service string) (map[string]file, error) {
	files := map[string]file{}
	var problems []error
	size := int64(0)
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if name == folder {
			return fmt.Errorf("%s is no folder", folder)
		}
		inside, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		inside = filepath.ToSlash(inside)
		if inside == laptopFile {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if problem := unfit(inside, info); problem != "" {
			problems = append(problems, fmt.Errorf("bundle-path %s: %q %s", folder, inside, problem))
			return nil
		}
		if size += info.Size(); size > maxSize {
			return fmt.Errorf("bundle-path %s holds more than %d MB: programs belong in the image", folder, maxSize>>20)
		}
		content, err := os.ReadFile(name)
		switch problem := misplaced(inside, service); {
		case isDefaultUnit(inside, content):
		case problem != "":
			problems = append(problems, fmt.Errorf("bundle-path %s: %q %s", folder, inside, problem))
		default:
			// Git keeps one bit of a file's mode, whether it may be executed; the rest is
			// the umask of whoever checked it out.
			files["deploy/"+inside] = file{content, info.Mode()&0o100 != 0}
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) && filepath.Clean(folder) == DefaultPath {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read bundle-path: %w", err)
	}
	return files, errors.Join(problems...)
}

// unfit says why a file must not travel, or nothing.
func unfit(name string, info fs.FileInfo) string {
	mode := info.Mode()
	switch {
	case mode&fs.ModeSymlink != 0:
		return "is a link; only regular files go into a bundle"
	case !mode.IsRegular():
		return "is a special file; only regular files go into a bundle"
	case mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return "is setuid or setgid; such a file does not go into a bundle"
	case path.Base(name) == ".env":
		return "holds settings and secrets; they stay on the host"
	case !plainName.MatchString(name):
		return "has a name of other characters than letters, digits, spaces and . _ + @ -"
	}
	return ""
}
