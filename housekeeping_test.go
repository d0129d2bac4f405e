package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestDependabotUpdatesEveryFolder(t *testing.T) {
	var config struct {
		Version int
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directory   string
			Directories []string
			Groups      map[string]any
		}
	}
	if err := yaml.Unmarshal([]byte(readFile(t, ".github/dependabot.yml")), &config); err != nil || config.Version != 2 {
		t.Fatal(err, config.Version)
	}
	covered := map[string][]string{}
	for _, entry := range config.Updates {
		covered[entry.Ecosystem] = slices.Concat(entry.Directories, []string{entry.Directory})
		if len(entry.Groups) == 0 {
			t.Errorf("each update of %s is a separate pull request", entry.Ecosystem)
		}
	}
	for pattern, ecosystem := range map[string]string{"go.mod": "gomod", "Dockerfile": "docker", "action.yml": "github-actions", "package.json": "npm"} {
		for _, file := range trackedFiles(t, pattern, "*/"+pattern) {
			if folder := strings.TrimSuffix("/"+filepath.Dir(file), "."); !slices.Contains(covered[ecosystem], folder) {
				t.Errorf(".github/dependabot.yml does not update %s", file)
			}
		}
	}
}

// A workflow in a folder of examples/ with the action of somebody else would not be updated.
func TestActionsOfExamplesAreUpdated(t *testing.T) {
	covered := readFile(t, ".github/dependabot.yml")
	for file, document := range workflows(t) {
		for _, u := range uses(document) {
			if strings.HasPrefix(file, "examples/") && u.Uses != self && u.Uses != reusable && !strings.Contains(covered, "\n      - /"+filepath.Dir(file)+"\n") {
				t.Errorf("%s uses %s: add its folder to .github/dependabot.yml", file, u.Uses)
			}
		}
	}
}

func TestIssueFormsAskForWhatIsNeeded(t *testing.T) {
	files, err := filepath.Glob(".github/ISSUE_TEMPLATE/*.yml")
	if err != nil || len(files) < 3 {
		t.Fatal(err, files)
	}
	required := map[string][]string{}
	for _, file := range files {
		if filepath.Base(file) == "config.yml" {
			continue
		}
		var form struct {
			Name, Description string
			Body              []struct {
				Type, ID    string
				Attributes  struct{ Label, Value string }
				Validations struct{ Required bool }
			}
		}
		if err := yaml.Unmarshal([]byte(readFile(t, file)), &form); err != nil || form.Name == "" || form.Description == "" {
			t.Errorf("%s: %v, name %q, description %q", file, err, form.Name, form.Description)
		}
		for _, field := range form.Body {
			if field.Type == "markdown" && field.Attributes.Value == "" || field.Type != "markdown" && (field.ID == "" || field.Attributes.Label == "") {
				t.Errorf("%s has an incomplete field: %+v", file, field)
			}
			if field.Validations.Required {
				required[form.Name] = append(required[form.Name], field.ID)
			}
		}
	}
	for _, id := range []string{"version", "doctor", "summary"} {
		if !slices.Contains(required["Bug"], id) {
			t.Errorf("the form for a bug does not require %q", id)
		}
	}
}
