package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/org/atta-deploy-action/internal/inputs"
)

// baseLayer returns a layer with the entries.
func baseLayer(headers ...tar.Header) v1.Layer {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return must(tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }))
}

func dir(name string, mode int64, owner int) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, Uid: owner, Gid: owner}
}

func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}
}

// Docker 20.10 creates parents that a layer does not list with the mode 0700, and if a layer lists a link of the base as a
// folder, that folder hides the content.
func TestMakeMergesWithTheBase(t *testing.T) {
	base := must(mutate.AppendLayers(randomImage(0),
		baseLayer(
			dir("usr/", 0o755, 0), dir("usr/bin/", 0o755, 0), link("bin", "usr/bin"), link("usr/local", "/opt/local/"), dir("opt/", 0o711, 0),
			dir("opt/local/", 0o750, 7), dir("home/app/", 0o700, 1000), dir("gone/", 0o700, 5), dir("var/lib/app/", 0o700, 9), link("loop", "loop"),
		),
		baseLayer(tar.Header{Name: ".wh.gone"}, dir("var/lib/", 0o755, 0), tar.Header{Name: "var/lib/.wh..wh..opq"}),
	))
	config := must(base.ConfigFile()).DeepCopy()
	config.Config = v1.Config{
		Entrypoint: []string{"/bin/sh"}, Cmd: []string{"-c", "true"}, Env: []string{"PATH=/bin", "LANG=C"}, User: "app", WorkingDir: "/home/app",
		Labels: map[string]string{"of": "base", "kept": "yes"},
	}
	base = must(mutate.ConfigFile(base, config))
	layout := layoutOf(t, base).folder(t)
	workspace(t, tree{"app*": "program", "tree/bin/tool*": "tool", "tree/home/app/.profile": "p", "tree/gone/x": "x", "tree/var/lib/app/db": "d"})
	s := newServer(t)
	image, _ := s.pushRecipe(t, inputs.Recipe{
		Base:       layout,
		Files:      []inputs.File{{Path: "app", To: "/bin/"}, {Path: "app", To: "/usr/local/bin/app"}, {Path: "tree", To: "/"}, {Path: "app", To: "/usr/local/bin/", Mode: 0o500}},
		Entrypoint: []string{"/bin/app"}, Env: []string{"LANG=C.UTF-8", "NEW=1"}, Labels: map[string]string{"of": "app"},
	})
	layers := must(image.Layers())
	var got [][]string
	for _, layer := range layers[2:] {
		got = append(got, listing(t, layer))
	}
	want := [][]string{
		{"0755 0:0 usr/", "0755 0:0 usr/bin/", "0755 0:0 usr/bin/app = program"},
		{"0711 0:0 opt/", "0750 7:7 opt/local/", "0755 0:0 opt/local/bin/", "0755 0:0 opt/local/bin/app = program"},
		{
			"0755 0:0 usr/", "0755 0:0 usr/bin/", "0755 0:0 usr/bin/tool = tool", "0755 0:0 gone/", "0644 0:0 gone/x = x",
			"0755 0:0 home/", "0700 1000:1000 home/app/", "0644 0:0 home/app/.profile = p",
			"0755 0:0 var/", "0755 0:0 var/lib/", "0755 0:0 var/lib/app/", "0644 0:0 var/lib/app/db = d",
		},
		{"0711 0:0 opt/", "0750 7:7 opt/local/", "0755 0:0 opt/local/bin/", "0500 0:0 opt/local/bin/app = program"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
	wantConfig := v1.Config{
		Entrypoint: []string{"/bin/app"}, Env: []string{"PATH=/bin", "LANG=C.UTF-8", "NEW=1"}, User: "app", WorkingDir: "/home/app",
		Labels: map[string]string{"of": "app", "kept": "yes"},
	}
	if diff := cmp.Diff(wantConfig, must(image.ConfigFile()).Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	for i, layer := range must(base.Layers()) {
		if must(layer.Digest()) != must(layers[i].Digest()) {
			t.Errorf("layer %d of the base was changed", i+1)
		}
	}

	_, err := Make(t.Context(), inputs.Recipe{Base: layout, Files: []inputs.File{{Path: "app", To: "/loop/app"}}}, authn.NewMultiKeychain())
	if err == nil || !strings.Contains(err.Error(), "too many links") {
		t.Errorf("a link to itself: %v", err)
	}
	_, err = Make(t.Context(), inputs.Recipe{Base: layout, Files: []inputs.File{{Path: "app", To: "/home/app"}}}, authn.NewMultiKeychain())
	if err == nil || !strings.Contains(err.Error(), "app: the image has a folder /home/app") {
		t.Errorf("a file in place of a folder: %v", err)
	}
}

func TestMakeOnEveryBase(t *testing.T) {
	image := randomImage(2)
	s := newServer(t)
	ref := must(s.repository(t, "base").client.parseReference("1"))
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	bases := map[string]string{
		"layout": layoutOf(t, image).folder(t), "archive": write(t, layoutOf(t, image).tar()), "registry": ref.Name(),
		"docker save": write(t, dockerSaveOf(image).tar()), "modern docker save": write(t, modernDockerSaveOf(image).tar()),
	}
	workspace(t, tree{"app*": "program"})
	for name, base := range bases {
		t.Run(name, func(t *testing.T) {
			src := makeSource(t, inputs.Recipe{Base: base, Files: []inputs.File{{Path: "app", To: "/app"}}})
			if diff := cmp.Diff([]string{"linux/amd64"}, src.Platforms()); diff != "" {
				t.Error(diff)
			}
			pushed, err := s.repository(t, "made").Push(t.Context(), src, strings.ReplaceAll(name, " ", "-"), PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			have := must(pulled(t, s.checkIntact(t, "made@"+pushed.Digest)).ConfigFile()).RootFS.DiffIDs
			want := must(image.ConfigFile()).RootFS.DiffIDs
			if len(have) != 3 || have[0] != want[0] || have[1] != want[1] {
				t.Errorf("the layers are %v, the base's %v", have, want)
			}
		})
	}
}

func TestMakeForEveryPlatformOfTheBase(t *testing.T) {
	base := layoutOf(t, twoPlatforms()).folder(t)
	workspace(t, tree{"bin/linux-amd64/app*": "for amd64", "bin/linux-arm64/app*": "for arm64"})
	recipe := inputs.Recipe{Base: base, Files: []inputs.File{{Path: "bin/$TARGETOS-$TARGETARCH/app", To: "/app"}}}
	s := newServer(t)
	src := makeSource(t, recipe)
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64/v8"}, src.Platforms()); diff != "" {
		t.Error(diff)
	}
	pushed, err := s.repository(t, "made").Push(t.Context(), src, "both", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	desc := s.checkIntact(t, "made:both")
	if desc.Digest.String() != pushed.Digest || desc.MediaType != types.OCIImageIndex {
		t.Errorf("pushed %s, %s", desc.MediaType, desc.Digest)
	}
	index := must(desc.ImageIndex())
	manifests := must(index.IndexManifest()).Manifests
	if len(manifests) != 2 {
		t.Fatalf("the index has %d images", len(manifests))
	}
	for _, m := range manifests {
		layers := must(must(index.Image(m.Digest)).Layers())
		want := []string{"0755 0:0 app = for " + m.Platform.Architecture}
		if diff := cmp.Diff(want, listing(t, layers[len(layers)-1])); diff != "" {
			t.Errorf("%s: %s", m.Platform, diff)
		}
	}

	recipe.Platforms = []string{"linux/arm64"}
	image, _ := s.pushRecipe(t, recipe)
	if have := must(image.ConfigFile()).Platform().String(); have != "linux/arm64/v8" {
		t.Errorf("with linux/arm64 only, the platform is %s", have)
	}
	recipe.Platforms = []string{"linux/arm64", "linux/s390x"}
	if _, err := Make(t.Context(), recipe, authn.NewMultiKeychain()); err == nil || !strings.Contains(err.Error(), "it does not support linux/s390x, only linux/amd64, linux/arm64/v8") {
		t.Errorf("a platform that the base lacks: %v", err)
	}

	two := makeSource(t, inputs.Recipe{Base: Scratch, Platforms: []string{"linux/amd64", "linux/arm64/v8"}, Files: recipe.Files, Entrypoint: []string{"/app"}})
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64/v8"}, two.Platforms()); diff != "" {
		t.Error(diff)
	}
}

// The same recipe for more platforms is another image; the same recipe for the same platforms is the same image, even if its
// layers were compressed differently the first time.
func TestMakeReusesLayersForMorePlatforms(t *testing.T) {
	workspace(t, tree{"app*": strings.Repeat("program ", 10_000)})
	s := newServer(t)
	repo := s.repository(t, "app")
	one := inputs.Recipe{Base: Scratch, Files: []inputs.File{{Path: "app", To: "/app"}}, Entrypoint: []string{"/app"}}
	two := one
	two.Platforms = []string{"linux/amd64", "linux/arm64"}
	first, err := repo.Push(t.Context(), makeSource(t, one), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var conflict *TagConflictError
	if _, err := repo.Push(t.Context(), makeSource(t, two), "1", PushOptions{}); !errors.As(err, &conflict) || conflict.Have != first.Digest {
		t.Errorf("another image under the same tag: %v", err)
	}
	second, err := repo.Push(t.Context(), makeSource(t, two), "2", PushOptions{Recent: []string{"1"}})
	if err != nil || second.Digest == first.Digest {
		t.Fatalf("pushed %+v, %v", second, err)
	}
	s.checkPushed(t, "app:2", second)
	for tag, how := range map[string]PushOptions{"2": {Compression: Zstd}, "3": {Compression: Zstd, Recent: []string{"1", "2"}}} {
		s.resetCounts()
		again, err := repo.Push(t.Context(), makeSource(t, two), tag, how)
		if err != nil || again.Digest != second.Digest || s.countWrites("PATCH") > 0 {
			t.Errorf("the same again as %s: %+v, %v, %q", tag, again, err, s.writes)
		}
		s.checkPushed(t, "app:"+tag, again)
	}
}

func TestMakeKeepsTheFilesOfTheBase(t *testing.T) {
	base := layoutOf(t, must(mutate.AppendLayers(randomImage(0), baseLayer(
		dir("usr/bin/", 0o755, 0), link("bin", "usr/bin"), tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644},
	)))).folder(t)
	workspace(t, tree{"app*": "x", ".wh.app": "x", "site/.wh.index.html": "x", "tree/bin": "a file", "same/bin": "-> usr/bin", "other/bin": "-> opt"})
	for name, test := range map[string]struct{ file, to, want string }{
		"whiteout":             {".wh.app", "/srv/", ".wh.app: /srv/.wh.app would hide another file"},
		"whiteout as a name":   {"app", "/srv/.wh.app", "would hide another file"},
		"whiteout as a folder": {"app", "/.wh.srv/app", "would hide another file"},
		"whiteout in a folder": {"site", "/srv", "would hide another file"},
		"link to a folder":     {"app", "/bin", "app: the image has a folder /bin"},
		"folder not listed":    {"app", "/etc", "app: the image has a folder /etc"},
		"file in a folder":     {"tree", "/", "tree/bin: the image has a folder /bin"},
		"link in a folder":     {"other", "/", "other/bin: the image has a folder /bin"},
		"the same link":        {"same", "/", ""},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := Make(t.Context(), inputs.Recipe{Base: base, Files: []inputs.File{{Path: test.file, To: test.to}}}, authn.NewMultiKeychain())
			switch {
			case test.want == "":
				closing(t, src, err)
			case err == nil || !strings.Contains(err.Error(), test.want):
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// Entries that an upper layer of the base lists below a link are in the folder that the link points to.
func TestMakeFollowsTheLinksBetweenLayersOfTheBase(t *testing.T) {
	base := layoutOf(t, must(mutate.AppendLayers(randomImage(0),
		baseLayer(dir("usr/lib/", 0o755, 0), link("lib", "usr/lib"), tar.Header{Typeflag: tar.TypeLink, Name: "lib2", Linkname: "lib"},
			link("usr/lib/own", "."), tar.Header{Typeflag: tar.TypeLink, Name: "usr/lib/own2", Linkname: "lib/own"}),
		baseLayer(dir("lib/secure/", 0o700, 1000)),
	))).folder(t)
	workspace(t, tree{"key": "k"})
	s := newServer(t)
	image, _ := s.pushRecipe(t, inputs.Recipe{Base: base, Files: []inputs.File{{Path: "key", To: "/lib2/own2/secure/"}}})
	layers := must(image.Layers())
	want := []string{"0755 0:0 usr/", "0755 0:0 usr/lib/", "0700 1000:1000 usr/lib/secure/", "0644 0:0 usr/lib/secure/key = k"}
	if diff := cmp.Diff(want, listing(t, layers[len(layers)-1])); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
}

// A config may contain fields that this program does not know, such as a healthcheck's StartInterval.
func TestMakeKeepsUnknownConfigFields(t *testing.T) {
	saved := modernDockerSaveOf(randomImage(1))
	var list []map[string]any
	if err := json.Unmarshal([]byte(saved["manifest.json"]), &list); err != nil {
		t.Fatal(err)
	}
	delete(saved, "index.json")
	config := saved[list[0]["Config"].(string)]
	config = strings.Replace(config, `"config":{}`, `"moby.new":{"n":12345678901234567890},"config":{"Healthcheck":{"Test":["CMD","x"],"StartInterval":5000000000}}`, 1)
	saved["config.json"], list[0]["Config"] = config, "config.json"
	saved["manifest.json"] = string(must(json.Marshal(list)))
	workspace(t, tree{"app*": "program"})
	s := newServer(t)
	image, _ := s.pushRecipe(t, inputs.Recipe{Base: write(t, saved.tar()), Files: []inputs.File{{Path: "app", To: "/app"}}, User: "nobody"})
	raw := string(must(image.RawConfigFile()))
	for _, want := range []string{`"StartInterval":5000000000`, `"moby.new":{"n":12345678901234567890}`, `"User":"nobody"`} {
		if !strings.Contains(raw, want) {
			t.Errorf("%s is missing in %s", want, raw)
		}
	}
}
