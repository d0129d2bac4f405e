// Package bundle builds the deploy bundle of a release and stores it in S3. It does not know the instances.
package bundle

import (
	"bytes"
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
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/release"
)

// DefaultPath is the conventional folder for the repository's own files. Unlike any other folder, it may be missing.
const DefaultPath = "deploy"

// laptopFile is a makefile for developers, not for hosts; in the action's own repository it is a link.
const laptopFile = "deploy.mk"

// deployScript is the file in deploy.Files that the bootstrap script starts.
const deployScript = "ec2_deploy.sh"

// Bundle is a finished deploy-bundle-<version>.tar.gz.
type Bundle struct {
	Content []byte
	SHA256  string // hex
	Files   int
	Own     int // files from the repository

	// UnitGuessed says that the unit is the built-in job's, since neither the mode nor a unit of the repository decides.
	UnitGuessed bool
}

// file is one entry: its content, and whether it is executable.
type file struct {
	content    []byte
	executable bool
}

// Build packs the built-in files, overlaid with the repository's folder, and a VERSION file. The same files give the same
// bytes on every machine. The mode, job, service or empty, selects the built-in unit; the repository's own unit must match
// it. The error lists every file that must not be in a bundle. Files that by their names hold secrets are refused unless
// allowed names their path in the folder.
func Build(folder string, rel release.Release, mode string, allowed ...string) (Bundle, error) {
	files, err := defaultFiles(rel.Service, mode)
	if err != nil {
		return Bundle{}, err
	}
	own, err := readFolder(folder, rel.Service, allowed)
	if _, replaced := own["deploy/"+deployScript]; replaced {
		// The repository's own script must not source libraries of another version.
		maps.DeleteFunc(files, func(name string, _ file) bool { return strings.HasPrefix(name, "deploy/lib/") })
	}
	maps.Copy(files, own)
	if err := errors.Join(err, checkUnits(folder, rel.Service, mode, own, files)); err != nil {
		return Bundle{}, err
	}
	files["VERSION"] = file{content: []byte(rel.Version.String() + "\n")}
	content, err := packFiles(files)
	if err != nil {
		return Bundle{}, fmt.Errorf("pack bundle: %w", err)
	}
	if len(content) > deploy.MaxBundle {
		return Bundle{}, fmt.Errorf("bundle-path %s results in a bundle of %d MB; the limit is %d MB, since programs belong in the image",
			folder, len(content)>>20, deploy.MaxBundle>>20)
	}
	sum := sha256.Sum256(content)
	_, decided := own["deploy/systemd/"+rel.Service+".service"]
	return Bundle{
		Content: content, SHA256: hex.EncodeToString(sum[:]), Files: len(files), Own: len(own), UnitGuessed: mode == "" && !decided,
	}, nil
}

func defaultFiles(service, mode string) (map[string]file, error) {
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
		// Embedded files have no mode (https://pkg.go.dev/embed), and the libraries are only sourced.
		files[path.Join("deploy", name)] = file{content, name == deployScript}
		return err
	})
	return files, err
}

// plainName matches names that are readable in listings and need at most quotes in a shell.
var plainName = regexp.MustCompile(`^[A-Za-z0-9._/+@ -]+$`)

// hasWindowsLineEnds reports whether a line of a text ends with CR LF. A script may be followed by an archive, whose bytes are no
// line ends; Git, too, takes what has a NUL for binary.
func hasWindowsLineEnds(content []byte) bool {
	return (bytes.Contains(content, []byte("\r\n")) || bytes.HasSuffix(content, []byte("\r"))) && !bytes.Contains(content, []byte{0})
}

func readFolder(folder, service string, allowed []string) (map[string]file, error) {
	files := map[string]file{}
	var problems []error
	size := int64(0)
	root, err := openFolder(folder)
	if errors.Is(err, fs.ErrNotExist) && filepath.Clean(folder) == DefaultPath {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read bundle-path %s: %w", folder, err)
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(inside string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || inside == laptopFile {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if problem := unfitReason(inside, info); problem != "" {
			problems = append(problems, fmt.Errorf("bundle-path %s: %q %s", folder, inside, problem))
			return nil
		}
		if isNamedLikeSecret(inside) && !slices.Contains(allowed, inside) {
			problems = append(problems, fmt.Errorf("bundle-path %s: %q is named like a secret, which must not be in a bundle; if it is not one, list it in bundle-allow", folder, inside))
			return nil
		}
		if size += info.Size(); size > deploy.MaxBundle {
			return fmt.Errorf("bundle-path %s contains more than %d MB; programs belong in the image", folder, deploy.MaxBundle>>20)
		}
		content, err := root.ReadFile(inside)
		isProgram := bytes.HasPrefix(content, []byte("#!"))
		switch problem := misplacedReason(inside, service); {
		case isDefaultUnit(inside, content):
		case problem != "":
			problems = append(problems, fmt.Errorf("bundle-path %s: %q %s", folder, inside, problem))
		case (isProgram || path.Ext(inside) == ".sh") && hasWindowsLineEnds(content):
			problems = append(problems, fmt.Errorf("bundle-path %s: %q has the line ends of Windows (CR LF), with which a script does not run; put \"*.sh text eol=lf\" into .gitattributes", folder, inside))
		default:
			// Git stores only the executable bit of a file's mode, the rest depends on the umask at checkout, and
			// workflow artifacts lose that bit as well.
			files["deploy/"+inside] = file{content, isProgram || info.Mode()&0o100 != 0}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read bundle-path: %w", err)
	}
	return files, errors.Join(problems...)
}

// openFolder opens the repository's folder, which links must not lead out of the working directory.
func openFolder(folder string) (*os.Root, error) {
	workingDir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	within := folder
	if filepath.IsAbs(folder) {
		if within, err = filepath.Rel(workingDir, folder); err != nil || !filepath.IsLocal(within) {
			return os.OpenRoot(folder)
		}
	}
	root, err := os.OpenRoot(workingDir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenRoot(within)
}

// secretNames matches names of files with keys, passwords or the settings of one environment.
var secretNames = []string{".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "id_*", ".netrc", ".pgpass", ".git-credentials"}

// publicNames are exceptions: examples of settings, and public keys.
var publicNames = []string{".env.example", ".env.sample", ".env.template", ".env.dist", "*.pub"}

func isNamedLikeSecret(name string) bool {
	matches := func(pattern string) bool {
		ok, _ := path.Match(pattern, path.Base(name)) // the patterns are constants
		return ok
	}
	return slices.ContainsFunc(secretNames, matches) && !slices.ContainsFunc(publicNames, matches)
}

// unfitReason returns why a file must not be in a bundle, or "".
func unfitReason(name string, info fs.FileInfo) string {
	mode := info.Mode()
	switch {
	case mode&fs.ModeSymlink != 0:
		return "is a link; only regular files go into a bundle"
	case !mode.IsRegular():
		return "is a special file; only regular files go into a bundle"
	case mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return "is setuid or setgid; such a file does not go into a bundle"
	case path.Base(name) == ".env":
		return "contains settings and secrets, which stay on the host"
	case !plainName.MatchString(name):
		return "has a name with characters other than letters, digits, spaces and . _ + @ -"
	}
	return ""
}
