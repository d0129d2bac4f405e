package image

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// changeLayout changes the index.json of files and the only manifest that it lists.
func changeLayout(t *testing.T, files tree, change func(*v1.IndexManifest, *v1.Manifest)) tree {
	t.Helper()
	var index v1.IndexManifest
	var m v1.Manifest
	unmarshal(t, files["index.json"], &index)
	unmarshal(t, files["blobs/sha256/"+index.Manifests[0].Digest.Hex], &m)
	change(&index, &m)
	if index.Manifests != nil {
		raw := must(json.Marshal(m))
		index.Manifests[0].Digest, index.Manifests[0].Size = digestOf(raw), int64(len(raw))
		files["blobs/sha256/"+index.Manifests[0].Digest.Hex] = string(raw)
	}
	files["index.json"] = string(must(json.Marshal(index)))
	return files
}

// docker save of Docker 25.0 and its candidates wrote an index.json that does not describe the image, next to a
// manifest.json that does: https://github.com/moby/moby/issues/47065 https://github.com/moby/moby/pull/47210
var wrongIndexes = map[string]func(*v1.IndexManifest, *v1.Manifest){
	"as it should be":       func(*v1.IndexManifest, *v1.Manifest) {},
	"manifests null":        func(index *v1.IndexManifest, _ *v1.Manifest) { index.Manifests = nil },
	"no layers":             func(_ *v1.IndexManifest, m *v1.Manifest) { m.Layers = nil },
	"layers in wrong order": func(_ *v1.IndexManifest, m *v1.Manifest) { slices.Reverse(m.Layers) },
	"wrong size": func(_ *v1.IndexManifest, m *v1.Manifest) {
		for i := range m.Layers {
			m.Layers[i].Size += 512
		}
	},
	"wrong config size":  func(_ *v1.IndexManifest, m *v1.Manifest) { m.Config.Size++ },
	"one layer too few":  func(_ *v1.IndexManifest, m *v1.Manifest) { m.Layers = m.Layers[1:] },
	"one layer too many": func(_ *v1.IndexManifest, m *v1.Manifest) { m.Layers = append(m.Layers, m.Layers[0]) },
	"unknown media type": func(index *v1.IndexManifest, _ *v1.Manifest) { index.Manifests[0].MediaType = "application/x" },
}

func TestCaseManifestJSONDecidesOverAWrongIndex(t *testing.T) {
	image := randomImage(2)
	s := newServer(t)
	want, err := s.repository(t, "want").Push(t.Context(), opened(t, write(t, dockerSaveOf(image).tar())), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range wrongIndexes {
		t.Run(name, func(t *testing.T) {
			files := changeLayout(t, modernDockerSaveOf(image), change)
			for _, ref := range []string{write(t, files.tar()), write(t, gzipOf(files.tar())), files.folder(t)} {
				s := newServer(t)
				got, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if s.checkPushed(t, "app:1", got); got.Digest != want.Digest {
					t.Errorf("digest is %s, want that of docker load's image, %s", got.Digest, want.Digest)
				}
			}
		})
	}
}

// Compressed layers in another order than in the config are found without unpacking them.
func TestCaseManifestJSONDecidesOverAWrongOrderOfCompressedLayers(t *testing.T) {
	image := randomImage(2)
	files := withManifestJSON(t, layoutOf(t, image))
	bad := changeLayout(t, files, wrongIndexes["layers in wrong order"])
	s := newServer(t)
	got, err := s.repository(t, "app").Push(t.Context(), opened(t, bad.folder(t)), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.checkPushed(t, "app:1", got)
	have, want := must(pulled(t, s.checkIntact(t, "app:1")).Manifest()), must(image.Manifest())
	for i, layer := range want.Layers {
		if have.Layers[i].Digest != layer.Digest {
			t.Errorf("layer %d is %s, want %s", i+1, have.Layers[i].Digest, layer.Digest)
		}
	}
}

// LayerSources, which Docker 25 writes for each layer, and names that nobody knows are ignored.
func TestCaseManifestJSONMayHaveMoreFields(t *testing.T) {
	files := modernDockerSaveOf(randomImage(1))
	files["manifest.json"] = strings.Replace(files["manifest.json"], `{"Config"`, `{"LayerSources":{"sha256:0":{"size":1}},"Later":[],"Config"`, 1)
	s := newServer(t)
	got, err := s.repository(t, "app").Push(t.Context(), opened(t, write(t, files.tar())), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.checkPushed(t, "app:1", got)
}

// Two images that are saved by digest have no names, so that index.json has room for one only, and manifest.json lists both:
// https://github.com/moby/moby/issues/51389
func TestCaseAnImageThatIndexJSONHasLostIsNotIgnored(t *testing.T) {
	for name, make := range map[string]func(v1.Image) tree{
		"layers not compressed": modernDockerSaveOf,
		"layers compressed":     func(image v1.Image) tree { return withManifestJSON(t, layoutOf(t, image)) },
	} {
		t.Run(name, func(t *testing.T) {
			files, other := make(randomImage(1)), make(randomImage(1))
			var both, more []savedImage
			unmarshal(t, files["manifest.json"], &both)
			unmarshal(t, other["manifest.json"], &more)
			kept := maps.Clone(files)
			maps.Copy(files, other)
			files["index.json"], files["manifest.json"] = kept["index.json"], string(must(json.Marshal(append(both, more...))))
			if err := refused(t, write(t, files.tar())); !strings.Contains(err.Error(), "it contains 2 images") || !strings.Contains(err.Error(), "save only one") {
				t.Errorf("error is %q", err)
			}
		})
	}
}

// An engine may leave out layers: those that the reader is thought to have, as pack does, or those that it lost sight of,
// as Docker with the image store of containerd: https://github.com/moby/moby/issues/49473
func TestCaseAnArchiveThatLacksLayersIsRefused(t *testing.T) {
	files := dockerSaveOf(randomImage(2))
	var list []savedImage
	unmarshal(t, files["manifest.json"], &list)
	list[0].Layers[0] = ""
	files["manifest.json"] = string(must(json.Marshal(list)))
	lost := withManifestJSON(t, layoutOf(t, randomImage(2)))
	unmarshal(t, lost["manifest.json"], &list)
	for _, layer := range list[0].Layers {
		delete(lost, layer)
	}
	for want, files := range map[string]tree{
		"layer 1 of 2: it is not in the archive":                                             files,
		"layer 1 of 2 (" + list[0].Layers[0] + "): " + list[0].Layers[0] + ": it is missing": lost,
	} {
		for _, ref := range []string{write(t, files.tar()), files.folder(t)} {
			if err := refused(t, ref); !strings.Contains(err.Error(), want) || !errors.Is(err, ErrContent) {
				t.Errorf("error is %q, want %q in it", err, want)
			}
		}
	}
}

// withManifestJSON adds the manifest.json that containerd, and so Docker 29, writes next to the layout of one image.
func withManifestJSON(t *testing.T, files tree) tree {
	t.Helper()
	files = files.clone()
	changeLayout(t, files, func(_ *v1.IndexManifest, m *v1.Manifest) {
		entry := savedImage{Config: "blobs/sha256/" + m.Config.Digest.Hex}
		for _, layer := range m.Layers {
			entry.Layers = append(entry.Layers, "blobs/sha256/"+layer.Digest.Hex)
		}
		files["manifest.json"] = string(must(json.Marshal([]savedImage{entry})))
	})
	return files
}

// An image in manifest.json may be damaged as well: the version is not spent on it.
func TestCaseLayersThatDifferFromTheConfigAreRefused(t *testing.T) {
	plain := modernDockerSaveOf(randomImage(2))
	delete(plain, "manifest.json")
	layouts := map[string]tree{"gzip": layoutOf(t, randomImage(2)), "plain": plain, "zstd": zstdLayout(t, randomImage(2))}
	for name, files := range layouts {
		for want, change := range map[string]func(*v1.IndexManifest, *v1.Manifest){
			"lists 0 layers, its config 2": wrongIndexes["no layers"],
			"lists 1 layers, its config 2": wrongIndexes["one layer too few"],
			"lists 3 layers, its config 2": wrongIndexes["one layer too many"],
			"as in the config":             wrongIndexes["layers in wrong order"],
			"bytes, not":                   wrongIndexes["wrong size"],
			"index.json lists no image":    wrongIndexes["manifests null"],
		} {
			if want == "as in the config" && name != "plain" {
				continue // the engine that pulls the image unpacks its layers, and refuses it
			}
			t.Run(name+"/"+want, func(t *testing.T) {
				bad := changeLayout(t, files.clone(), change)
				for _, ref := range []string{write(t, bad.tar()), bad.folder(t)} {
					if err := refused(t, ref); !strings.Contains(err.Error(), want) {
						t.Errorf("error is %q, want %q in it", err, want)
					}
				}
			})
		}
	}
}
