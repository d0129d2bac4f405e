package image

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// imageOf returns an image for linux/amd64 with a layer of each size.
func imageOf(sizes ...int64) v1.Image {
	image := randomImage(0)
	for _, size := range sizes {
		image = must(mutate.AppendLayers(image, must(random.Layer(size, types.DockerLayer))))
	}
	return image
}

// savedAs writes a docker save of image to a file.
func savedAs(t *testing.T, image v1.Image) string {
	t.Helper()
	return write(t, dockerSaveOf(image).tar())
}

func TestDigestDoesNotDependOnCores(t *testing.T) {
	text := func() io.ReadCloser { // compressible, over many blocks
		r := rand.New(rand.NewPCG(1, 2))
		var b strings.Builder
		for b.Len() < 5<<20 {
			fmt.Fprintf(&b, "%d ", r.IntN(1000))
		}
		return io.NopCloser(strings.NewReader(b.String()))
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []Compression{Gzip, Zstd} {
		digests := map[v1.Hash]int{}
		for _, cores := range []int{1, 2, 4, 16} {
			runtime.GOMAXPROCS(cores)
			b := &blob{name: "layer", compress: true, open: func(context.Context) (io.ReadCloser, error) { return text(), nil }}
			content := text()
			all := must(io.ReadAll(content))
			b.diffID = digestOf(all)
			digest, size, err := b.storeTo(t.Context(), io.Discard, c, func(int) {})
			if err != nil || size == 0 || size > int64(len(all))*2/3 {
				t.Fatalf("%s: %d bytes of %d, %v", c, size, len(all), err)
			}
			digests[digest]++
		}
		if len(digests) != 1 {
			t.Errorf("%s: the same layer has the digests %v", c, digests)
		}
	}
}

func TestPushWithZstdWritesOCIManifest(t *testing.T) {
	s := newServer(t)
	got, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, imageOf(50_000))), "1", PushOptions{Compression: Zstd})
	if err != nil {
		t.Fatal(err)
	}
	image := must(must(remote.Get(must(name.ParseReference(s.host + "/app@" + got.Digest)))).Image())
	manifest := must(image.Manifest())
	if manifest.MediaType != types.OCIManifestSchema1 || manifest.Config.MediaType != types.OCIConfigJSON || manifest.Layers[0].MediaType != types.OCILayerZStd {
		t.Errorf("%+v", manifest)
	}
	stored := must(must(image.Layers())[0].Compressed())
	content := must(io.ReadAll(must(zstd.NewReader(stored))))
	if have, want := digestOf(content), must(image.ConfigFile()).RootFS.DiffIDs[0]; have != want {
		t.Errorf("the layer holds %s, want %s", have, want)
	}
}

func TestConcurrentPushesOfOneImageSucceed(t *testing.T) {
	s := newServer(t)
	ref := savedAs(t, imageOf(90_000, 80_000))
	var group sync.WaitGroup
	digests := make([]string, 8)
	for i := range digests {
		group.Go(func() {
			got, err := s.repository(t, "app").Push(t.Context(), opened(t, ref), "1", PushOptions{})
			if err != nil {
				t.Error(err)
			}
			digests[i] = got.Digest
		})
	}
	group.Wait()
	for _, digest := range digests {
		if digest != digests[0] {
			t.Errorf("digests are %v", digests)
		}
	}
	s.checkIntact(t, "app:1")
}
