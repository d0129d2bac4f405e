package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func TestOpenReportsTruncationOfATarWithoutEnd(t *testing.T) {
	files := dockerSaveOf(randomImage(1))
	delete(files, files.names()[0])
	data := files.tar()
	if err := refused(t, write(t, data)); strings.Contains(err.Error(), "truncated") {
		t.Errorf("error is %q", err)
	}
	if err := refused(t, write(t, data[:len(data)-1024])); !strings.Contains(err.Error(), "truncated") {
		t.Errorf("error is %q", err)
	}
}

func TestOpenFollowsHardLinksToLayers(t *testing.T) {
	files := dockerSaveOf(randomImage(1))
	var list []savedImage
	unmarshal(t, files["manifest.json"], &list)
	layer := list[0].Layers[0]
	content := files[layer]
	delete(files, layer)
	files["first/layer.tar"] = content
	data := files.tar()
	var link bytes.Buffer
	w := tar.NewWriter(&link)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: layer, Typeflag: tar.TypeLink, Linkname: "first/layer.tar"}), w.Close()); err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	ref := write(t, append(data[:len(data)-1024:len(data)-1024], link.Bytes()...))
	if _, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	s.checkIntact(t, "app:1")
}

func TestLastOfTwoEqualEntriesWins(t *testing.T) {
	first, second := layoutOf(t, randomImage(1)), layoutOf(t, randomImage(1))
	data := first.tar()
	src := opened(t, write(t, append(data[:len(data)-1024:len(data)-1024], second.tar()...)))
	var index v1.IndexManifest
	unmarshal(t, second["index.json"], &index)
	if want := index.Manifests[0].Digest.String(); src.Digest() != want {
		t.Errorf("digest is %s, want %s", src.Digest(), want)
	}
}

func TestImageCannotNameFilesOutsideItself(t *testing.T) {
	files := dockerSaveOf(randomImage(1))
	var list []savedImage
	unmarshal(t, files["manifest.json"], &list)
	secret := files[list[0].Layers[0]]
	list[0].Layers[0] = "../secret"
	files["manifest.json"] = string(must(json.Marshal(list)))
	dir := files.folder(t)
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "secret"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := refused(t, dir); !errors.Is(err, errMissing) {
		t.Errorf("error is %q", err)
	}
}

func TestOpenRefusesWhatNoRegistryAccepts(t *testing.T) {
	nested := twoPlatforms()
	for range maxDepth + 1 {
		nested = mutate.AppendManifests(mutate.IndexMediaType(twoPlatforms(), types.OCIImageIndex), mutate.IndexAddendum{Add: nested})
	}
	sha512 := `{"manifests":[{"mediaType":"` + string(types.OCIManifestSchema1) + `","size":1,"digest":"sha512:` + strings.Repeat("a", 128) + `"}]}`
	for want, files := range map[string]tree{
		"nested more than 4 deep":  layoutOf(t, nested),
		"larger than the limit":    {"manifest.json": "[" + strings.Repeat(" ", maxJSON) + "]"},
		"only sha256 is supported": {"index.json": sha512},
		`"" is not supported`:      unnamed(t, layoutOf(t, randomImage(1))),
		"a link to a missing file": {"manifest.json": `[{"Config":"loop"}]`, "loop": "-> loop"},
	} {
		if err := refused(t, write(t, files.tar())); !strings.Contains(err.Error(), want) {
			t.Errorf("error is %q, want %q in it", err, want)
		}
	}
}

// fanOut is an index that lists an index many times, which does the same, and so on.
func fanOut(depth int) v1.ImageIndex {
	index := twoPlatforms()
	for range depth {
		adds := make([]mutate.IndexAddendum, 6)
		for i := range adds {
			adds[i].Add = index
		}
		index = mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), adds...)
	}
	return index
}

// An image is what somebody else has made: an index that lists another many times, and so on, describes millions of
// manifests with a few small files.
func TestAManifestIsReadOnceHoweverOftenItIsListed(t *testing.T) {
	src := opened(t, write(t, layoutOf(t, fanOut(2)).tar()))
	if got := src.Platforms(); len(got) != 2 {
		t.Errorf("platforms are %q", got)
	}
	s := newServer(t)
	repo := s.repository(t, "app")
	pushed, err := repo.Push(t.Context(), src, "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.resetCounts()
	if _, err := repo.Size(t.Context(), pushed.Digest); err != nil || s.requests > 20 {
		t.Errorf("%d requests: %v", s.requests, err)
	}
	var many v1.ImageIndex = empty.Index
	for i := range maxManifests + 1 {
		many = mutate.AppendManifests(many, mutate.IndexAddendum{Add: must(mutate.Config(empty.Image, v1.Config{User: fmt.Sprint(i)}))})
	}
	if err := refused(t, write(t, layoutOf(t, many).tar())); !strings.Contains(err.Error(), "more than 200 manifests") {
		t.Errorf("error is %q", err)
	}
}

// unnamed removes the media type of the image in index.json.
func unnamed(t *testing.T, files tree) tree {
	t.Helper()
	var index v1.IndexManifest
	unmarshal(t, files["index.json"], &index)
	index.Manifests[0].MediaType = ""
	files["index.json"] = string(must(json.Marshal(index)))
	return files
}

func TestPushSkipsNondistributableLayers(t *testing.T) {
	foreign := static.NewLayer([]byte("windows"), types.DockerForeignLayer)
	image := must(mutate.AppendLayers(randomImage(1), foreign))
	files := layoutOf(t, image)
	delete(files, "blobs/sha256/"+must(foreign.Digest()).Hex)
	s := newServer(t)
	repo := s.repository(t, "app")
	got, err := repo.Push(t.Context(), opened(t, write(t, files.tar())), "1", PushOptions{})
	if err != nil || got.Digest != digestIn(image) {
		t.Errorf("pushed %+v, %v", got, err)
	}

	// So the repository does not have the layer, although one of its images lists it.
	own := must(mutate.AppendLayers(randomImage(1), static.NewLayer([]byte("windows"), types.DockerLayer)))
	s.resetCounts()
	if _, err := repo.Push(t.Context(), opened(t, write(t, layoutOf(t, own).tar())), "2", PushOptions{Recent: []string{"1"}}); err != nil || s.countWrites("PUT /v2/app/blobs") != 3 {
		t.Errorf("%v, and the writes are %v", err, s.writes)
	}
}

func TestPushKeepsTheSubjectOfAManifest(t *testing.T) {
	s, base := newServer(t), randomImage(1)
	subject := v1.Descriptor{MediaType: types.DockerManifestSchema2, Digest: must(base.Digest()), Size: must(base.Size())}
	image := mutate.Subject(mutate.MediaType(randomImage(1), types.OCIManifestSchema1), subject).(v1.Image)
	got, err := s.repository(t, "app").Push(t.Context(), opened(t, write(t, layoutOf(t, image).tar())), "1", PushOptions{})
	if err != nil || got.Digest != digestIn(image) {
		t.Errorf("pushed %+v, %v", got, err)
	}
	s.checkIntact(t, "app:1")
}

func TestProgressCountsARetriedBlobOnce(t *testing.T) {
	var got [][2]int64
	m := newMeter(func(m PushProgress) { got = append(got, [2]int64{m.Done, m.Total}) })
	a, b := &blob{length: 10}, &blob{length: 5}
	m.addExpected(a)
	m.addExpected(b)
	for _, n := range []int64{4, 8, 2, 6, 10} {
		m.reportRead(a, n)
	}
	m.reportRead(b, 5)
	if diff := cmp.Diff([][2]int64{{4, 15}, {8, 15}, {10, 15}, {15, 15}}, got); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}

func TestSpoolStopsWhenItIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := spoolUnpacked(ctx, bytes.NewReader(gzipOf([]byte("content")))); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestCloseClosesTheFile(t *testing.T) {
	src, err := Open(t.Context(), write(t, dockerSaveOf(randomImage(1)).tar()), authn.NewMultiKeychain())
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	r := must(src.root.blobs[1].open(t.Context()))
	if _, err := io.ReadAll(r); !errors.Is(err, os.ErrClosed) {
		t.Errorf("reading a closed source: %v", err)
	}
}
