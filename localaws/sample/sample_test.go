package sample_test

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/org/atta-deploy-action/localaws/sample"
)

// program stands for the real one where it is not run.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app")
	if err := os.WriteFile(path, []byte("not run here"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func image(t *testing.T, opts ...sample.Option) v1.Image {
	t.Helper()
	img, err := sample.NewImage(program(t), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digest(t *testing.T, img interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	hash, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

func TestTheSameOptionsGiveTheSameDigest(t *testing.T) {
	one, same, other := image(t, sample.WithVersion("1")), image(t, sample.WithVersion("1")), image(t, sample.WithVersion("2"))
	if digest(t, one) != digest(t, same) || digest(t, one) == digest(t, other) {
		t.Errorf("digests %s, %s, %s", digest(t, one), digest(t, same), digest(t, other))
	}
}

func TestASavedDockerArchiveReadsBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := sample.SaveDockerArchive(path, image(t), "atta:1"); err != nil {
		t.Fatal(err)
	}
	back, err := tarball.ImageFromPath(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(back); err != nil {
		t.Error(err)
	}
}

func TestALayoutHoldsAnImageOrAnIndex(t *testing.T) {
	arm := image(t, sample.WithArchitecture("arm64"))
	both, err := sample.NewIndex(image(t, sample.WithArchitecture("amd64")), arm)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]mutate.Appendable{"image": arm, "index": both} {
		dir := filepath.Join(t.TempDir(), name)
		if err := sample.SaveLayout(dir, content); err != nil {
			t.Fatal(err)
		}
		back, err := layout.ImageIndexFromPath(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(back); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		manifest, err := back.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		if len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest.String() != digest(t, content) {
			t.Errorf("%s: %+v", name, manifest.Manifests)
		}
	}
	manifest, err := both.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	got := []string{manifest.Manifests[0].Platform.String(), manifest.Manifests[1].Platform.String()}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnOCIArchiveIsATarOfALayout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := sample.SaveOCIArchive(path, image(t)); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var names []string
	for archive := tar.NewReader(file); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
	if !slices.Contains(names, "oci-layout") || !slices.Contains(names, "index.json") || len(names) != 5 {
		t.Errorf("files %v", names)
	}
}

func TestSampleProgramGreetsAndExitsWithTheGivenStatus(t *testing.T) {
	program, err := sample.BuildProgram(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--exit", "5")
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"VERSION=1.2.3-dev", "GREETING=hi"}
	if err := os.Mkdir(filepath.Join(cmd.Dir, "output"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.Output()
	if exit := (&exec.ExitError{}); !errors.As(err, &exit) || exit.ExitCode() != 5 || !strings.Contains(string(out), "sample 1.2.3-dev") {
		t.Errorf("got %v, %q", err, out)
	}
	if body, err := os.ReadFile(filepath.Join(cmd.Dir, "output", "greeting.txt")); err != nil || string(body) != "hi from 1.2.3-dev\n" {
		t.Errorf("wrote %q, %v", body, err)
	}
}
