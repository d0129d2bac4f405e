package image

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/random"
)

// FuzzOpen looks for files that crash or hang the reader, or that open as an image without a kind.
func FuzzOpen(f *testing.F) {
	image := must(random.Image(100, 1)) // small, so that most changes hit what is parsed
	for _, files := range []tree{dockerSaveOf(image), modernDockerSaveOf(image), {"index.json": `{"manifests":[{}]}`}, {"manifest.json": `[{"Layers":["../x"]}]`}, {"a": "-> a", "manifest.json": "-> a"}} {
		f.Add(files.tar())
		f.Add(gzipOf(files.tar()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		name := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		src, err := Open(t.Context(), name, authn.NewMultiKeychain())
		if err != nil {
			return
		}
		if src.Kind() == "" {
			t.Error("an image without a kind")
		}
		for image := range src.root.images() {
			for _, b := range image.blobs {
				_, _, _ = b.storeTo(t.Context(), io.Discard, Gzip, func(int) {})
				if b.diffID.Hex != "" {
					_ = (&engine{meter: newMeter(nil)}).verifyContent(t.Context(), b)
				}
			}
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
}
