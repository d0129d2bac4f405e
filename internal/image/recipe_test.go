package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/org/atta-deploy-action/internal/inputs"
)

// workspace writes the files to a temporary folder and changes to it.
func workspace(t *testing.T, files tree) string {
	t.Helper()
	dir := files.folder(t)
	t.Chdir(dir)
	return dir
}

func makeSource(t *testing.T, r inputs.Recipe) *Source {
	t.Helper()
	src, err := Make(t.Context(), r, authn.NewMultiKeychain())
	return closing(t, src, err)
}

// pushRecipe builds and pushes r, and returns the image in the registry.
func (s *server) pushRecipe(t *testing.T, r inputs.Recipe) (v1.Image, Pushed) {
	t.Helper()
	got, err := s.repository(t, "made").Push(t.Context(), makeSource(t, r), strings.ToLower(filepath.Base(t.Name())), PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pulled(t, s.checkIntact(t, "made@"+got.Digest)), got
}

// listing lists a layer like tar -tv, with the content of the files.
func listing(t *testing.T, layer v1.Layer) (lines []string) {
	t.Helper()
	for r := tar.NewReader(strings.NewReader(plain(layer))); ; {
		h, err := r.Next()
		if err == io.EOF {
			return lines
		} else if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.IsZero() && h.ModTime.Unix() != 0 || h.Uname+h.Gname != "" {
			t.Errorf("%s is of %s %s, %s", h.Name, h.Uname, h.Gname, h.ModTime)
		}
		line := fmt.Sprintf("%04o %d:%d %s", h.Mode, h.Uid, h.Gid, h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			line += " = " + string(must(io.ReadAll(r)))
		case tar.TypeSymlink:
			line += " -> " + h.Linkname
		}
		lines = append(lines, line)
	}
}

func TestMakeFromScratch(t *testing.T) {
	workspace(t, tree{
		"bin/app*": "program", "etc/app.conf": "a=b", "site/index.html": "<p>", "site/img/logo": "png", "site/latest": "-> index.html",
		"data/empty/.keep": "",
	})
	s := newServer(t)
	image, pushed := s.pushRecipe(t, inputs.Recipe{
		Base: Scratch,
		Files: []inputs.File{
			{Path: "bin/app", To: "/usr/local/bin/"},
			{Path: "etc/app.conf", To: "/etc/app/main.conf", Mode: 0o600},
			{Path: "site", To: "/srv/www/"},
		},
		Entrypoint: []string{"/usr/local/bin/app"}, Command: []string{"serve"},
		Env: []string{"A=1", "B=x=y"}, User: "65532:65532", Workdir: "/srv/www", Labels: map[string]string{"org.opencontainers.image.title": "app"},
	})
	if pushed.Reused != 0 || !pushed.Uploaded {
		t.Errorf("pushed %+v", pushed)
	}
	var got [][]string
	for _, layer := range must(image.Layers()) {
		got = append(got, listing(t, layer))
	}
	want := [][]string{
		{"0755 0:0 usr/", "0755 0:0 usr/local/", "0755 0:0 usr/local/bin/", "0755 0:0 usr/local/bin/app = program"},
		{"0755 0:0 etc/", "0755 0:0 etc/app/", "0600 0:0 etc/app/main.conf = a=b"},
		{
			"0755 0:0 srv/", "0755 0:0 srv/www/", "0755 0:0 srv/www/img/", "0644 0:0 srv/www/img/logo = png",
			"0644 0:0 srv/www/index.html = <p>", "0777 0:0 srv/www/latest -> index.html",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
	config := must(image.ConfigFile())
	wantConfig := v1.Config{
		Entrypoint: []string{"/usr/local/bin/app"}, Cmd: []string{"serve"}, Env: []string{"A=1", "B=x=y"}, User: "65532:65532",
		WorkingDir: "/srv/www", Labels: map[string]string{"org.opencontainers.image.title": "app"},
	}
	if diff := cmp.Diff(wantConfig, config.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if config.Platform().String() != "linux/amd64" || config.Created.Unix() != 0 || len(config.History) != 3 {
		t.Errorf("config is %+v", config)
	}
	if have := must(image.MediaType()); have != types.OCIManifestSchema1 {
		t.Errorf("the manifest is %s", have)
	}
}

func TestMakeIsReproducible(t *testing.T) {
	recipe := inputs.Recipe{Base: Scratch, Files: []inputs.File{{Path: "bin/app", To: "/app"}, {Path: "site", To: "/site"}}, Entrypoint: []string{"/app"}}
	s := newServer(t)
	var digests []string
	for _, umask := range []fs.FileMode{0o755, 0o700} {
		dir := workspace(t, tree{"bin/app*": "program", "site/a": "1", "site/b/c": "2"})
		if err := os.Chmod(filepath.Join(dir, "bin/app"), umask); err != nil {
			t.Fatal(err)
		}
		_, pushed := s.pushRecipe(t, recipe)
		digests = append(digests, pushed.Digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("the same files result in %s", strings.Join(digests, " and "))
	}
}

func TestMakeReportsEveryPathAtOnce(t *testing.T) {
	workspace(t, tree{"app": "kept no mode", "pipe/.keep": ""})
	_, err := Make(t.Context(), inputs.Recipe{
		Base: Scratch, Platforms: []string{"linux/amd64", "linux/arm64"},
		Files:      []inputs.File{{Path: "nowhere", To: "/a"}, {Path: "app", To: "/app"}, {Path: "no/folder", To: "/b"}},
		Entrypoint: []string{"/app"},
	}, authn.NewMultiKeychain())
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the error is %v", err)
	}
	for _, want := range []string{"nowhere", "no/folder", "app is the image's program, /app, but is not executable: run chmod +x, or append :0755 to its line"} {
		if n := strings.Count(err.Error(), want); n != 1 {
			t.Errorf("%q occurs %d times in: %v", want, n, err)
		}
	}
}

func TestPushRefusesAFileChangedAfterOpen(t *testing.T) {
	for name, now := range map[string]string{"longer": "program, and more", "shorter": "pro", "other": "PROGRAM"} {
		t.Run(name, func(t *testing.T) {
			workspace(t, tree{"app*": "program"})
			s := newServer(t)
			src := makeSource(t, inputs.Recipe{Base: Scratch, Files: []inputs.File{{Path: "app", To: "/app"}}, Entrypoint: []string{"/app"}})
			if err := os.WriteFile("app", []byte(now), 0o755); err != nil {
				t.Fatal(err)
			}
			_, err := s.repository(t, "app").Push(t.Context(), src, "1", PushOptions{})
			if err == nil || !strings.Contains(err.Error(), "app") {
				t.Errorf("the error of the push is %v", err)
			}
			if n := s.countWrites("manifests"); n != 0 {
				t.Errorf("%d manifests were written", n)
			}
		})
	}
}

// Layers that are already compressed in a docker save are uploaded unchanged, with their media type.
func TestLayersKeepTheirOwnCompression(t *testing.T) {
	image := randomImage(1)
	saved := dockerSaveOf(image)
	for name, content := range saved {
		if strings.HasSuffix(name, "/layer.tar") {
			saved[name] = string(gzipOf([]byte(content)))
		}
	}
	workspace(t, tree{"app*": strings.Repeat("program", 1000)})
	s := newServer(t)
	src := makeSource(t, inputs.Recipe{Base: write(t, saved.tar()), Files: []inputs.File{{Path: "app", To: "/app"}}})
	pushed, err := s.repository(t, "app").Push(t.Context(), src, "1", PushOptions{Compression: Zstd})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []types.MediaType
	for _, layer := range must(must(remote.Image(must(s.repository(t, "app").client.parseReference(pushed.Digest)))).Manifest()).Layers {
		kinds = append(kinds, layer.MediaType)
	}
	if diff := cmp.Diff([]types.MediaType{types.OCILayer, types.OCILayerZStd}, kinds); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
}

func TestMakeStopsWhenItIsCancelled(t *testing.T) {
	workspace(t, tree{"app*": "program"})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the job is cancelled"))
	_, err := Make(ctx, inputs.Recipe{Base: Scratch, Files: []inputs.File{{Path: "app", To: "/app"}}}, authn.NewMultiKeychain())
	if err == nil || !strings.Contains(err.Error(), "the job is cancelled") {
		t.Errorf("the error is %v", err)
	}
}

func TestEntrypointIsTheLastFileOfItsName(t *testing.T) {
	base := layoutOf(t, must(mutate.AppendLayers(randomImage(0), baseLayer(dir("usr/bin/", 0o755, 0), link("bin", "usr/bin"))))).folder(t)
	workspace(t, tree{"dist/server": "kept no mode"})
	recipe := inputs.Recipe{Base: base, Files: []inputs.File{{Path: "dist", To: "/app"}, {Path: "dist/server", To: "/app/server", Mode: 0o755}}, Entrypoint: []string{"/app/server"}}
	makeSource(t, recipe)
	recipe.Files, recipe.Entrypoint = []inputs.File{{Path: "dist", To: "/bin"}}, []string{"/bin/server"}
	if _, err := Make(t.Context(), recipe, authn.NewMultiKeychain()); err == nil || !strings.Contains(err.Error(), "dist/server is the image's program, /bin/server, but is not executable") {
		t.Errorf("the error is %v", err)
	}
}

func TestPlatformWithoutVariantMatchesTheOnlyOne(t *testing.T) {
	workspace(t, tree{"app*": "program"})
	recipe := inputs.Recipe{Base: Scratch, Platforms: []string{"linux/arm/v7", "linux/arm"}, Files: []inputs.File{{Path: "app", To: "/app"}}}
	if have := makeSource(t, recipe).Platforms(); len(have) != 2 {
		t.Errorf("the platforms are %q", have)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, variant := range []string{"v6", "v7"} {
		p := v1.Platform{OS: "linux", Architecture: "arm", Variant: variant}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: imageFor(p, 1), Descriptor: v1.Descriptor{Platform: &p}})
	}
	recipe.Base, recipe.Platforms = layoutOf(t, index).folder(t), []string{"linux/arm"}
	if _, err := Make(t.Context(), recipe, authn.NewMultiKeychain()); err == nil || !strings.Contains(err.Error(), "linux/arm matches more than one of its platforms, linux/arm/v6, linux/arm/v7: name the variant") {
		t.Errorf("the error is %v", err)
	}
}

func TestMakeRefusesPathsThatLeadOutOfTheWorkspace(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := workspace(t, tree{"inner/app": "x"})
	for link, target := range map[string]string{"file": outside + "/secret", "folder": outside, "up": "..", "inside": "inner", "dangling": "none"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"file": "leads out of the workspace", "folder": "leads out of the workspace", "folder/secret": "leads out of the workspace", "up": "leads out of the workspace",
		outside + "/secret": "not in the workspace", "../x": "not in the workspace", "dangling": "no such file", "inside": "", "inside/app": "", dir + "/inner": "",
	} {
		src, err := Make(t.Context(), inputs.Recipe{
			Base: Scratch, Workspace: dir, Files: []inputs.File{{Path: name, To: "/app", Mode: 0o755}}, Entrypoint: []string{"/app"},
		}, authn.NewMultiKeychain())
		if want == "" && err == nil {
			err = src.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
