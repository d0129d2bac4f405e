package image

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// jsonKinds are a value of each kind of JSON.
var jsonKinds = []string{`null`, `true`, `-0.5`, `"text"`, `[{}]`, `{"a":1}`}

// replaceEach calls try with the JSON text once for each of its values, which is replaced with another kind of JSON.
func replaceEach(text string, try func(string)) {
	var root any
	if err := json.Unmarshal([]byte(text), &root); err != nil {
		panic(err)
	}
	var visit func(value any, put func(any))
	visit = func(value any, put func(any)) {
		for _, kind := range jsonKinds {
			put(json.RawMessage(kind))
			try(string(must(json.Marshal(root))))
		}
		put(value)
		switch value := value.(type) {
		case map[string]any:
			for key, child := range value {
				visit(child, func(v any) { value[key] = v })
			}
		case []any:
			for i, child := range value {
				visit(child, func(v any) { value[i] = v })
			}
		}
	}
	visit(root, func(v any) { root = v })
}

// Whatever a JSON file contains, an error is about the file, and never about a type in this program.
func TestCaseNoTypeOfADecoderReachesTheUser(t *testing.T) {
	config := &v1.ConfigFile{OS: "linux", Architecture: "amd64", History: []v1.History{{CreatedBy: "x"}}, Config: v1.Config{
		Env: []string{"A=b"}, Entrypoint: []string{"/a"}, Labels: map[string]string{"a": "b"}, Healthcheck: &v1.HealthConfig{Test: []string{"NONE"}, Interval: 1},
	}}
	image := must(mutate.ConfigFile(empty.Image, config))
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	refusals, file := map[string]bool{}, write(t, nil)
	for _, files := range []tree{dockerSaveOf(image), modernDockerSaveOf(image), layoutOf(t, index)} {
		for name, content := range files {
			try := func(text string) {
				changed := withContent(t, files, name, text)
				if err := os.WriteFile(file, changed.tar(), 0o600); err != nil {
					t.Fatal(err)
				}
				src, err := Open(t.Context(), file, authn.NewMultiKeychain())
				if err == nil {
					_ = src.Close()
					return
				}
				message := err.Error()
				refusals[message] = true
				for _, leak := range []string{"Go ", "v1.", "image.", "json: ", "strconv", "Unmarshal", "invalid syntax", "2006-", "%!"} {
					if strings.Contains(strings.ReplaceAll(message, ".json: ", ": "), leak) {
						t.Errorf("%s: %q contains %q", name, message, leak)
					}
				}
			}
			replaceEach(content, try)
			try(content[:len(content)-1])
		}
	}
	if len(refusals) < 20 {
		t.Errorf("only %d errors were seen", len(refusals))
	}
}

// withContent returns files with another content of one of them. If its name is its digest, both change wherever they are
// listed, and so on.
func withContent(t *testing.T, files tree, name, content string) tree {
	t.Helper()
	changed := files.clone()
	old := hexDigest.FindString(name)
	if old == "" {
		changed[name] = content
		return changed
	}
	digest := digestOf([]byte(content)).Hex
	delete(changed, name)
	changed[strings.Replace(name, old, digest, 1)] = content
	for other, text := range files {
		if other != name && strings.Contains(text, old) {
			var parsed any
			unmarshal(t, text, &parsed)
			changed = withContent(t, changed, other, string(must(json.Marshal(relink(parsed, old, digest, len(content))))))
		}
	}
	return changed
}

// relink replaces a digest in a JSON value, and the size in its descriptors.
func relink(value any, old, digest string, size int) any {
	switch value := value.(type) {
	case string:
		return strings.ReplaceAll(value, old, digest)
	case []any:
		for i, child := range value {
			value[i] = relink(child, old, digest, size)
		}
	case map[string]any:
		if value["digest"] == "sha256:"+old {
			value["size"] = size
		}
		for key, child := range value {
			value[key] = relink(child, old, digest, size)
		}
	}
	return value
}
