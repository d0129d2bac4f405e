package image

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// An index may have an image for Windows, whose first layers are large and only at Microsoft's:
// https://github.com/google/go-containerregistry/issues/709
func TestCaseAnIndexWithAnImageForWindowsIsPushedForLinux(t *testing.T) {
	foreign := static.NewLayer(make([]byte, 1<<20), types.DockerForeignLayer)
	windows := must(mutate.Append(imageFor(v1.Platform{OS: "windows", Architecture: "amd64"}, 1), mutate.Addendum{
		Layer: foreign, MediaType: types.DockerForeignLayer, URLs: []string{"https://go.microsoft.com/fwlink/?linkid=1"},
	}))
	both := twoPlatforms()
	mixed := mutate.AppendManifests(both, mutate.IndexAddendum{Add: windows, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.4974"}}})
	files, name := layoutOf(t, mixed), "blobs/sha256/"+must(foreign.Digest()).Hex
	if files[name] != "" {
		delete(files, name)
	}
	s := newServer(t)
	alone, err := s.repository(t, "linux").Push(t.Context(), opened(t, layoutOf(t, both).folder(t)), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := s.repository(t, "linux").Size(t.Context(), alone.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.repository(t, "base").Push(t.Context(), opened(t, files.folder(t)), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	repo := s.repository(t, "app")
	got, err := repo.Push(t.Context(), opened(t, s.host+"/base:1"), "1", PushOptions{})
	if err != nil || got.Digest != digestIn(mixed) {
		t.Fatalf("pushed %+v, %v", got, err)
	}
	if size, err := repo.Size(t.Context(), got.Digest); err != nil || size != want {
		t.Errorf("an instance is to have room for %d bytes, want %d: %v", size, want, err)
	}
}
