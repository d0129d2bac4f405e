package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/org/atta-deploy-action/internal/inputs"
)

var update = flag.Bool("update", false, "rewrite the tables of README.md")

func TestREADMEListsTheInputsAndOutputsOfActionYML(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for mark, table := range map[string]string{"inputs": inputTable(promised(t)), "outputs": outputTable(promised(t))} {
		begin, end := "<!-- "+mark+" -->\n", "<!-- /"+mark+" -->"
		before, rest, ok := strings.Cut(want, begin)
		_, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("README.md has no %s…%s", strings.TrimSpace(begin), end)
		}
		want = before + begin + table + end + after
	}
	if *update {
		write(t, "README.md", want)
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("README.md and action.yml disagree; go test . -update rewrites the tables:\n%s", diff)
	}
}

func inputTable(d inputs.Definition) string {
	var b strings.Builder
	b.WriteString("| input | what it says | default |\n|---|---|---|\n")
	for _, input := range d.Inputs {
		value := code(input.Default)
		if input.Required {
			value = "**required**"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", input.Name, cell(input.Description), value)
	}
	return b.String()
}

func outputTable(d inputs.Definition) string {
	var b strings.Builder
	b.WriteString("| output | what it says |\n|---|---|\n")
	for _, output := range d.Outputs {
		fmt.Fprintf(&b, "| `%s` | %s |\n", output.Name, cell(output.Description))
	}
	return b.String()
}

func code(value string) string {
	if value == "" {
		return ""
	}
	return "`" + value + "`"
}

// cell is text that holds <placeholders> as a cell of a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "|", "&#124;", "\n", " ").Replace(text)
}

var yamlBlock = regexp.MustCompile("(?s)```ya?ml\n(.*?)```")

func TestEveryInputThatREADMEUsesExists(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	for _, block := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(block[1]), &document); err != nil {
			t.Errorf("README.md holds YAML that cannot be read: %v\n%s", err, block[1])
		}
		for _, name := range inputsUsed(&document) {
			used++
			if !slices.ContainsFunc(promised(t).Inputs, func(i inputs.Input) bool { return i.Name == name }) {
				t.Errorf("README.md uses the input %s, which action.yml does not have", name)
			}
		}
	}
	if used < 5 {
		t.Errorf("README.md shows the use of %d inputs", used)
	}
}

// inputsUsed are the keys of with in every step that uses this action.
func inputsUsed(node *yaml.Node) (names []string) {
	var step struct {
		Uses string
		With map[string]yaml.Node
	}
	if node.Kind == yaml.MappingNode && node.Decode(&step) == nil && strings.Contains(step.Uses, "atta-deploy-action") {
		for name := range step.With {
			names = append(names, name)
		}
	}
	for _, child := range node.Content {
		names = append(names, inputsUsed(child)...)
	}
	return names
}
