package image

import (
	"encoding/json"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// An index names two platforms, and the layout has the content of one: https://github.com/docker/cli/issues/5476
func TestCaseTheAbsentPlatformOfALayoutIsNamed(t *testing.T) {
	files := layoutOf(t, randomImage(1))
	var index v1.IndexManifest
	unmarshal(t, files["index.json"], &index)
	index.Manifests[0].Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	inner := string(must(json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: append(index.Manifests,
		v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf([]byte("absent")), Size: 480, Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}})})))
	files["blobs/sha256/"+digestOf([]byte(inner)).Hex] = inner
	files["index.json"] = string(must(json.Marshal(v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{
		{MediaType: types.OCIImageIndex, Digest: digestOf([]byte(inner)), Size: int64(len(inner))}}})))
	if err := refused(t, write(t, files.tar())); !strings.Contains(err.Error(), "linux/arm64") {
		t.Errorf("error is %q", err)
	}
}
