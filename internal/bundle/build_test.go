package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/release"
)

func atta(t *testing.T) release.Release { return version(t, "atta") }

func version(t *testing.T, service string) release.Release {
	t.Helper()
	rel, err := release.New(service, "dev", "0.1.30-dev")
	if err != nil {
		t.Fatal(err)
	}
	return rel
}

// own is a file in the repository's folder.
type own struct {
	name, text string
	mode       fs.FileMode
}

func folder(t *testing.T, files ...own) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ours")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(f.text), 0o600), os.Chmod(path, f.mode)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func build(t *testing.T, dir string) bundle.Bundle {
	t.Helper()
	b, err := bundle.Build(dir, atta(t), "")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fixed replaces every built-in file, so that the checksum depends on nothing else.
var fixed = []own{
	{"ec2_deploy.sh", "#!/bin/bash\necho deployed\n", 0o755},
	{".env.example", "GREETING=\n", 0o644},
	{"systemd/atta.service", "[Service]\nExecStart=/bin/true\n", 0o644},
	{"two words/a+b@c.txt", strings.Repeat("x", 70_000), 0o644},
	{"empty", "", 0o644},
}

func TestBuildGivesTheSameBytesOnEveryMachine(t *testing.T) {
	t.Parallel()
	// If this checksum changes, every bundle that is already in a bucket becomes a conflict.
	const golden = "e0a7ff055cfe4fabedfa092fd63c50727952ebc9679253b8a7a7bbed878e1464"
	here := build(t, folder(t, fixed...))
	if here.SHA256 != golden {
		t.Errorf("sha256 %s, want %s", here.SHA256, golden)
	}
	reversed := slices.Clone(fixed)
	slices.Reverse(reversed)
	for i := range reversed {
		reversed[i].mode |= 0o066 // another umask
	}
	elsewhere := folder(t, reversed...)
	err := filepath.WalkDir(elsewhere, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)))
	})
	if err != nil {
		t.Fatal(err)
	}
	there := build(t, elsewhere)
	if !bytes.Equal(here.Content, there.Content) {
		t.Error("the bundles differ")
	}
	if sum := sha256.Sum256(here.Content); hex.EncodeToString(sum[:]) != here.SHA256 {
		t.Error("SHA256 is not that of the content")
	}
}

type packed struct {
	Name, Text string
	Mode       int64
}

func unpack(t *testing.T, content []byte) (all []packed) {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(content))
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
		if !header.ModTime.Equal(time.Unix(0, 0)) || header.Uid != 0 || header.Gid != 0 || header.Uname != "" || header.Typeflag != tar.TypeReg {
			t.Errorf("%s depends on the machine: %+v", header.Name, header)
		}
		all = append(all, packed{header.Name, string(text), header.Mode})
	}
}

func TestBuildReplacesBuiltInFilesWithTheRepositorysOwn(t *testing.T) {
	t.Parallel()
	b := build(t, folder(t, fixed...))
	want := []packed{
		{"VERSION", "0.1.30-dev\n", 0o644},
		{"deploy/.env.example", fixed[1].text, 0o644},
		{"deploy/ec2_deploy.sh", fixed[0].text, 0o755},
		{"deploy/empty", "", 0o644},
		{"deploy/systemd/atta.service", fixed[2].text, 0o644},
		{"deploy/two words/a+b@c.txt", fixed[3].text, 0o644},
	}
	if diff := cmp.Diff(want, unpack(t, b.Content)); diff != "" {
		t.Error(diff)
	}
	if b.Files != 6 || b.Own != 5 {
		t.Errorf("%d files, %d of them own", b.Files, b.Own)
	}
}

func TestGNUTarReadsABundle(t *testing.T) {
	t.Parallel()
	b, dir := build(t, folder(t, fixed...)), t.TempDir()
	unpacking := exec.Command("tar", "-xzf", "-", "-C", dir)
	unpacking.Stdin = bytes.NewReader(b.Content)
	if out, err := unpacking.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, f := range fixed {
		path := filepath.Join(dir, "deploy", f.name)
		info, err := os.Stat(path)
		if err != nil || info.Mode() != f.mode {
			t.Errorf("%s: %v %v", f.name, info, err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != f.text {
			t.Errorf("%s: %d bytes, %v", f.name, len(text), err)
		}
	}
}

func TestBuildNamesTheBuiltInUnitAfterTheService(t *testing.T) {
	t.Parallel()
	b, err := bundle.Build(folder(t), version(t, "web-shop"), "")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range unpack(t, b.Content) {
		names = append(names, file.Name)
		if executable := file.Mode&0o100 != 0; executable != (file.Name == "deploy/ec2_deploy.sh") {
			t.Errorf("%s has mode %o", file.Name, file.Mode)
		}
	}
	want := []string{"VERSION", "deploy/.env.example", "deploy/ec2_deploy.sh"}
	want = append(want, libraries(t)...)
	want = append(want, "deploy/systemd/web-shop.service")
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// libraries returns the names in a bundle of the libraries that ec2_deploy.sh sources.
func libraries(t *testing.T) (names []string) {
	t.Helper()
	files, err := fs.Glob(deploy.Files, "lib/*.sh")
	if err != nil || len(files) == 0 {
		t.Fatalf("no libraries: %v", err)
	}
	for _, file := range files {
		names = append(names, "deploy/"+file)
	}
	return names
}

func TestBuildDropsBuiltInLibrariesWhenTheRepositoryHasAScript(t *testing.T) {
	t.Parallel()
	b := build(t, folder(t, own{"ec2_deploy.sh", "#!/bin/bash\n", 0o755}, own{"lib/mine.sh", "", 0o644}))
	for _, file := range unpack(t, b.Content) {
		if strings.HasPrefix(file.Name, "deploy/lib/") && file.Name != "deploy/lib/mine.sh" {
			t.Errorf("%s is in the bundle", file.Name)
		}
	}
}

func TestBuildReportsAllForbiddenFilesAtOnce(t *testing.T) {
	t.Parallel()
	dir := folder(t, own{".env", "SECRET=1", 0o600}, own{"sub/.env", "SECRET=2", 0o600}, own{"odd\nname", "", 0o644}, own{`back\slash`, "", 0o644},
		own{"good.txt", "", 0o644}, own{"su", "", 0o755 | fs.ModeSetuid}, own{"sg", "", 0o755 | fs.ModeSetgid})
	if err := errors.Join(os.Symlink("/etc/passwd", filepath.Join(dir, "link")), os.Symlink("/etc", filepath.Join(dir, "folder")), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644)); err != nil {
		t.Fatal(err)
	}
	_, err := bundle.Build(dir, atta(t), "")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`".env" contains settings`, `"sub/.env" contains settings`, `"odd\nname" has a name`, `"back\\slash" has a name`, `"su" is setuid`, `"sg" is setuid`,
		`"link" is a link`, `"folder" is a link`, `"pipe" is a special file;`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in\n%v", want, err)
		}
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != 9 {
		t.Errorf("%d problems:\n%v", lines, err)
	}
}

func TestBuildRefusesAFolderOrABundleOverTheSizeLimit(t *testing.T) {
	t.Parallel()
	for size, want := range map[int64]string{
		32<<20 + 1: "contains more than 32 MB; programs belong in the image",
		32 << 20:   "results in a bundle of 32 MB; the limit is 32 MB", // with the headers of the archive
		31 << 20:   "",
	} {
		dir := folder(t, own{"program", "", 0o755})
		if err := os.Truncate(filepath.Join(dir, "program"), size); err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.Build(dir, atta(t), ""); (err == nil) != (want == "") || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestOnlyTheDefaultFolderMayBeMissing(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"deploy", "./deploy/"} {
		if b := build(t, path); b.Own != 0 || b.Files != 4+len(libraries(t)) {
			t.Errorf("%s: %d files, %d own", path, b.Files, b.Own)
		}
	}
	if err := os.WriteFile("file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir("ours", 0o755), os.Symlink(folder(t, own{"own/file", "", 0o644}), "out"), os.Symlink("ours", "in")); err != nil {
		t.Fatal(err)
	}
	if b := build(t, "in"); b.Own != 0 {
		t.Errorf("a link inside the working directory: %d own files", b.Own)
	}
	for path, want := range map[string]string{"delpoy": "no such file", "file": "not a directory", "out/own": "escapes"} {
		if _, err := bundle.Build(path, atta(t), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestBuildSkipsTheMakefileForLaptops(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.Mkdir("deploy", 0o755), os.Symlink("../laptop/deploy.mk", "deploy/deploy.mk")); err != nil {
		t.Fatal(err)
	}
	if b := build(t, "deploy"); b.Own != 0 {
		t.Errorf("%d own files, want none", b.Own)
	}
}
