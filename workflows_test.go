package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/org/atta-deploy-action/internal/inputs"
)

const (
	self     = "org/atta-deploy-action@v1"
	reusable = "org/atta-deploy-action/.github/workflows/deploy.yml@v1"
)

// parseActionYML returns the definition in action.yml.
func parseActionYML(t *testing.T) inputs.Definition {
	t.Helper()
	d, err := inputs.ParseDefinition(definition)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// workflows returns the workflows of this repository and of its examples, by path.
func workflows(t *testing.T) map[string]*yaml.Node {
	t.Helper()
	files, err := filepath.Glob(".github/workflows/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob("examples/*/.github/workflows/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*yaml.Node{}
	for _, file := range append(files, examples...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var document yaml.Node
		if err := yaml.Unmarshal(text, &document); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		found[file] = &document
	}
	return found
}

// use is a step or a job that uses an action or a reusable workflow.
type use struct {
	Uses string
	With map[string]yaml.Node
}

func uses(node *yaml.Node) (found []use) {
	var one use
	if node.Kind == yaml.MappingNode && node.Decode(&one) == nil && one.Uses != "" {
		found = append(found, one)
	}
	for _, child := range node.Content {
		found = append(found, uses(child)...)
	}
	return found
}

var pinned = regexp.MustCompile(`@[0-9a-f]{40}$`)

func TestWorkflowsUseExistingInputsAndPinnedActions(t *testing.T) {
	called := slices.Collect(maps.Keys(parseDeployWorkflow(t).On.Call.Inputs))
	counted := map[string]int{}
	for file, document := range workflows(t) {
		for _, u := range uses(document) {
			switch {
			case u.Uses == self:
				counted[self]++
				for name := range u.With {
					if !slices.ContainsFunc(parseActionYML(t).Inputs, func(i inputs.Input) bool { return i.Name == name }) {
						t.Errorf("%s uses the input %s, which action.yml does not have", file, name)
					}
				}
				for _, input := range parseActionYML(t).Inputs {
					if _, ok := u.With[input.Name]; input.Required && !ok {
						t.Errorf("%s uses the action without the input %s", file, input.Name)
					}
				}
			case u.Uses == reusable, u.Uses == "./.github/workflows/deploy.yml":
				counted[reusable]++
				for name := range u.With {
					if !slices.Contains(called, name) {
						t.Errorf("%s uses the input %s, which deploy.yml does not have", file, name)
					}
				}
			case !pinned.MatchString(u.Uses) && !strings.HasPrefix(u.Uses, "./"):
				t.Errorf("%s uses %s, which is not pinned to a commit", file, u.Uses)
			}
		}
	}
	if counted[self] < 8 || counted[reusable] < 4 {
		t.Errorf("found %v", counted)
	}
}

// With no permission by default, every job has to name what it needs.
func TestWorkflowsHaveLeastPermissions(t *testing.T) {
	for file, document := range workflows(t) {
		var d struct {
			Permissions *map[string]string
			Jobs        map[string]struct{ Permissions map[string]string }
		}
		if err := document.Decode(&d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if d.Permissions == nil || len(*d.Permissions) != 0 {
			t.Errorf("%s grants every job the permissions %v", file, d.Permissions)
		}
		for name, job := range d.Jobs {
			allowed := []string{"contents:read", "id-token:write"}
			switch file + " " + name {
			case ".github/workflows/release.yml publish":
				allowed = []string{"contents:write", "packages:write", "id-token:write", "attestations:write"} // for the tag, the image and its provenance
			case ".github/workflows/release.yml move":
				allowed = []string{"contents:write"}
			}
			switch {
			case file == ".github/workflows/site.yml" && name == "publish":
				allowed = []string{"pages:write", "id-token:write"}
			case file == "examples/batch/.github/workflows/plan.yml":
				allowed = append(allowed, "pull-requests:write")
			}
			for scope, access := range job.Permissions {
				if !slices.Contains(allowed, scope+":"+access) {
					t.Errorf("job %s of %s has the permission to %s %s", name, file, access, scope)
				}
			}
		}
	}
}

func TestExamplesHaveACopyOfDeployMk(t *testing.T) {
	want, err := os.ReadFile("laptop/deploy.mk")
	if err != nil {
		t.Fatal(err)
	}
	if path, err := os.Readlink("deploy/deploy.mk"); err != nil || path != "../laptop/deploy.mk" {
		t.Errorf("deploy/deploy.mk links to %q, want ../laptop/deploy.mk (%v)", path, err)
	}
	for _, example := range []string{"batch", "web"} {
		got, err := os.ReadFile(filepath.Join("examples", example, "deploy.mk"))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("examples/%s/deploy.mk differs from laptop/deploy.mk; run cp laptop/deploy.mk examples/%s/ (%v)", example, example, err)
		}
	}
}
