package inputs

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Definition is the content of action.yml; inputs and outputs keep their order.
type Definition struct {
	Name        string
	Description string
	Inputs      []Input
	Outputs     []Output
}

// Input is one input of action.yml, which is the only place that defines its default.
type Input struct {
	Name        string `yaml:"-"`
	Description string
	Default     string
	Required    bool
}

// Output is one output of action.yml.
type Output struct {
	Name        string `yaml:"-"`
	Description string
}

// MustParseDefinition is ParseDefinition for the action's own action.yml, which the tests read, too.
func MustParseDefinition(actionYML []byte) Definition {
	d, err := ParseDefinition(actionYML)
	if err != nil {
		panic(err)
	}
	return d
}

// ParseDefinition reads action.yml.
func ParseDefinition(actionYML []byte) (Definition, error) {
	var file struct {
		Name        string
		Description string
		Inputs      yaml.Node
		Outputs     yaml.Node
	}
	if err := yaml.Unmarshal(actionYML, &file); err != nil {
		return Definition{}, fmt.Errorf("parse action.yml: %w", err)
	}
	d := Definition{Name: file.Name, Description: strings.TrimSpace(file.Description)}
	for name, node := range mappingPairs(file.Inputs) {
		input := Input{Name: name}
		if err := node.Decode(&input); err != nil {
			return Definition{}, fmt.Errorf("parse input %s of action.yml: %w", name, err)
		}
		input.Description = strings.TrimSpace(input.Description)
		d.Inputs = append(d.Inputs, input)
	}
	for name, node := range mappingPairs(file.Outputs) {
		output := Output{Name: name}
		if err := node.Decode(&output); err != nil {
			return Definition{}, fmt.Errorf("parse output %s of action.yml: %w", name, err)
		}
		output.Description = strings.TrimSpace(output.Description)
		d.Outputs = append(d.Outputs, output)
	}
	return d, nil
}

// mappingPairs yields the pairs of a YAML mapping in their order, which a Go map would lose.
func mappingPairs(mapping yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		if mapping.Kind != yaml.MappingNode {
			return
		}
		for pair := range slices.Chunk(mapping.Content, 2) {
			if !yield(pair[0].Value, pair[1]) {
				return
			}
		}
	}
}

// variableName returns the environment variable of the input, as the runner sets it: upper case, dashes kept.
func (i Input) variableName() string { return "INPUT_" + strings.ToUpper(i.Name) }

// isBoolean reports whether the flag of the input may omit its value.
func (i Input) isBoolean() bool { return i.Default == "true" || i.Default == "false" }
