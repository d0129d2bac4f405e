package image

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// jibTar returns what jib writes: config.json, and the layers as <hex>.tar.gz.
// https://github.com/GoogleContainerTools/jib/issues/2305
func jibTar(image v1.Image) tree {
	files := tree{"config.json": string(must(image.RawConfigFile()))}
	entry := savedImage{Config: "config.json", RepoTags: []string{"app:1"}}
	for _, layer := range must(image.Layers()) {
		packed := string(gzipOf([]byte(plain(layer))))
		file := digestOf([]byte(packed)).Hex + ".tar.gz"
		files[file] = packed
		entry.Layers = append(entry.Layers, file)
	}
	files["manifest.json"] = string(must(json.Marshal([]savedImage{entry})))
	return files
}

// kanikoTar returns what kaniko, ko and crane write with go-containerregistry: a layer that is listed twice is there once.
func kanikoTar(t *testing.T, image v1.Image) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.WriteToFile(file, must(name.NewTag("app:1")), image); err != nil {
		t.Fatal(err)
	}
	return file
}

// nixTar returns what dockerTools of nixpkgs writes before it is compressed: all names begin with "./".
func nixTar(image v1.Image) tree {
	files := tree{"./repositories": `{"app":{"1":"0"}}`}
	for name, content := range dockerSaveOf(image) {
		files["./"+name] = content
	}
	return files
}

// attestedIndex returns the index that buildx writes for one platform with --provenance=true.
func attestedIndex(image v1.Image) v1.ImageIndex {
	image = mutate.MediaType(image, types.OCIManifestSchema1)
	statement := static.NewLayer([]byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`), "application/vnd.in-toto+json")
	attestation := mutate.MediaType(must(mutate.AppendLayers(empty.Image, statement)), types.OCIManifestSchema1)
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: attestation, Descriptor: v1.Descriptor{
			Platform:    &v1.Platform{OS: unknownOS, Architecture: unknownOS},
			Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digestIn(image)},
		}})
}

// orasLayout returns what oras writes: index.json lists an index and also each of its images.
// https://github.com/oras-project/oras-go/blob/main/content/oci/oci.go
func orasLayout(t *testing.T, index v1.ImageIndex) tree {
	t.Helper()
	files := layoutOf(t, index)
	var listed v1.IndexManifest
	unmarshal(t, files["index.json"], &listed)
	listed.Manifests = append(listed.Manifests, must(index.IndexManifest()).Manifests...)
	files["index.json"] = string(must(json.Marshal(listed)))
	return files
}

func TestCaseImagesOfOtherToolsArePushed(t *testing.T) {
	image := randomImage(3)
	twice := must(mutate.AppendLayers(image, must(image.Layers())[2]))
	attested, both := attestedIndex(image), twoPlatforms()
	withWindows := mutate.AppendManifests(twoPlatforms(), mutate.IndexAddendum{Add: imageFor(v1.Platform{OS: "windows", Architecture: "amd64"}, 1)})
	docker := mutate.IndexMediaType(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image}), types.DockerManifestList)
	for tool, c := range map[string]struct{ ref, digest, id string }{
		"jib":                   {write(t, jibTar(image).tar()), "", configIn(image)},
		"kaniko, layer twice":   {kanikoTar(t, twice), "", configIn(twice)},
		"nix, gzip":             {write(t, gzipOf(nixTar(image).tar())), "", configIn(image)},
		"docker save | zstd":    {write(t, []byte(zstdOf(string(dockerSaveOf(image).tar())))), "", configIn(image)},
		"buildx, attested":      {write(t, layoutOf(t, attested).tar()), digestIn(attested), ""},
		"buildx type=docker":    {write(t, withManifestJSON(t, layoutOf(t, image)).tar()), digestIn(image), configIn(image)},
		"buildx, two platforms": {layoutOf(t, both).folder(t), digestIn(both), ""},
		"oras":                  {orasLayout(t, both).folder(t), digestIn(both), ""},
		"with Windows":          {layoutOf(t, withWindows).folder(t), digestIn(withWindows), ""},
		"manifest list":         {layoutOf(t, docker).folder(t), digestIn(docker), ""},
	} {
		t.Run(tool, func(t *testing.T) {
			s := newServer(t)
			got, err := s.repository(t, "app").Push(t.Context(), opened(t, c.ref), "1", PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			src := s.checkComplete(t, "app:1")
			if got.Digest != src.Digest() || c.digest != "" && got.Digest != c.digest {
				t.Errorf("pushed %s, tagged %s, want %s", got.Digest, src.Digest(), c.digest)
			}
			if c.id != "" && src.root.blobs[0].Digest.String() != c.id {
				t.Errorf("the image ID is %s, want %s", src.root.blobs[0].Digest, c.id)
			}
		})
	}
}

// checkComplete reads back everything that ref names, whatever it contains, and checks every digest.
func (s *server) checkComplete(t *testing.T, ref string) *Source {
	t.Helper()
	src := opened(t, s.host+"/"+ref)
	for image := range src.root.images() {
		for _, b := range image.blobs {
			if _, _, err := b.storeTo(t.Context(), io.Discard, Gzip, func(int) {}); err != nil {
				t.Error(err)
			}
		}
	}
	return src
}

func configIn(image v1.Image) string { return must(image.ConfigName()).String() }

// artifact returns what oras push --oci-layout writes: files, and no image.
func artifact(t *testing.T) tree {
	t.Helper()
	files := layoutOf(t, mutate.MediaType(empty.Image, types.OCIManifestSchema1))
	return changeLayout(t, files, func(_ *v1.IndexManifest, m *v1.Manifest) {
		files["blobs/sha256/"+digestOf([]byte("{}")).Hex] = "{}"
		m.Config = v1.Descriptor{MediaType: "application/vnd.oci.empty.v1+json", Digest: digestOf([]byte("{}")), Size: 2}
	})
}

func TestCaseWhatIsNotAnImageForLinuxIsRefused(t *testing.T) {
	image := must(mutate.AppendLayers(empty.Image, must(randomImage(1).Layers())...))
	windows := must(mutate.ConfigFile(image, &v1.ConfigFile{OS: "windows", Architecture: "amd64", RootFS: must(image.ConfigFile()).RootFS}))
	none := `{"schemaVersion":2,"manifests":[]}`
	hollow := tree{"blobs/sha256/" + digestOf([]byte(none)).Hex: none, "index.json": string(must(json.Marshal(v1.IndexManifest{Manifests: []v1.Descriptor{
		{MediaType: types.OCIImageIndex, Digest: digestOf([]byte(none)), Size: int64(len(none))},
	}})))}
	dir := tree{"version": "Directory Transport Version: 1.1\n", "manifest.json": string(must(image.RawManifest()))}
	for want, files := range map[string]tree{
		"a folder in the format dir of skopeo and podman; convert it with skopeo copy": dir,
		"not a container image for Linux: it has only windows/amd64":                   layoutOf(t, windows),
		"it has only application/vnd.oci.empty.v1+json":                                artifact(t),
		"it has only an empty index":                                                   hollow,
		"manifest.json lists no image":                                                 {"manifest.json": `[{"name":"a web app"}]`},
	} {
		for _, ref := range []string{write(t, files.tar()), files.folder(t)} {
			if err := refused(t, ref); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ref) || !errors.Is(err, ErrContent) {
				t.Errorf("error is %q, want %q in it", err, want)
			}
		}
	}
	export := tree{"bin/app": "program", "etc/passwd": "root"}
	if err := refused(t, write(t, export.tar())); !strings.Contains(err.Error(), "such as docker export and buildx --output type=tar write") {
		t.Errorf("error is %q", err)
	}
	if err := refused(t, export.folder(t)); !strings.Contains(err.Error(), "a folder without the index.json of an OCI layout") {
		t.Errorf("error is %q", err)
	}
}

// Bazel and Nix leave links to files outside the workspace, which a container action does not see.
func TestCaseALinkOutOfTheWorkspaceIsNamed(t *testing.T) {
	files := layoutOf(t, randomImage(1))
	for name := range files {
		if strings.HasPrefix(name, "blobs/") {
			files[name] = "-> /home/runner/.cache/bazel/" + name
		}
	}
	result := filepath.Join(t.TempDir(), "result")
	if err := os.Symlink("/nix/store/0-image.tar.gz", result); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		files.folder(t): "is a link to /home/runner/.cache/bazel/blobs/sha256/",
		result:          result + " is a link to /nix/store/0-image.tar.gz, which this action cannot see: copy",
	} {
		if _, err := Open(t.Context(), ref, authn.NewMultiKeychain()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q in it", err, want)
		}
	}
}
