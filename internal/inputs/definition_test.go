package inputs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/inputs"
)

func TestADefinitionKeepsTheOrderOfActionYML(t *testing.T) {
	got, err := inputs.ParseDefinition([]byte(`
name: Name
description: What it does.
inputs:
  zebra:
    description: >-
      Two
      lines.
    required: true
  apple:
    default: false
outputs:
  b: {description: B}
  a: {description: A}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := inputs.Definition{
		Name: "Name", Description: "What it does.",
		Inputs:  []inputs.Input{{Name: "zebra", Description: "Two lines.", Required: true}, {Name: "apple", Default: "false"}},
		Outputs: []inputs.Output{{Name: "b", Description: "B"}, {Name: "a", Description: "A"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestADefinitionThatIsNotYAMLIsAnError(t *testing.T) {
	for _, text := range []string{"name: [", "inputs: {a: [1]}", "outputs: {a: 1}"} {
		if d, err := inputs.ParseDefinition([]byte(text)); err == nil {
			t.Errorf("%q was read as %+v", text, d)
		}
	}
}

func TestActionYMLDescribesEachInputAndOutputOnce(t *testing.T) {
	d := definition(t)
	seen := map[string]bool{}
	for _, input := range d.Inputs {
		if input.Description == "" || seen[input.Name] || input.Name == "args" || input.Name == "entrypoint" {
			t.Errorf("input %s is described badly", input.Name)
		}
		seen[input.Name] = true
	}
	clear(seen)
	for _, output := range d.Outputs {
		if output.Description == "" || seen[output.Name] {
			t.Errorf("output %s is described badly", output.Name)
		}
		seen[output.Name] = true
	}
	if len(d.Inputs) == 0 || len(d.Outputs) == 0 {
		t.Error("action.yml has no inputs or no outputs")
	}
}
