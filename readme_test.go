package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/org/atta-deploy-action/internal/inputs"
)

var update = flag.Bool("update", false, "rewrite the tables of README.md and docs/inputs.md")

func TestTablesMatchActionYML(t *testing.T) {
	groups := inputGroups(t)
	var all strings.Builder
	for _, group := range groups {
		fmt.Fprintf(&all, "### %s\n\n%s\n", group.title, inputTable(group.inputs))
	}
	for _, table := range []struct{ file, mark, text string }{
		{"README.md", "inputs", inputTable(groups[0].inputs)},
		{"README.md", "outputs", outputTable(parseActionYML(t))},
		{"docs/inputs.md", "inputs", all.String()},
	} {
		text := readFile(t, table.file)
		begin, end := "<!-- "+table.mark+" -->\n", "<!-- /"+table.mark+" -->"
		before, rest, ok := strings.Cut(text, begin)
		_, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("%s has no %s…%s", table.file, strings.TrimSpace(begin), end)
		}
		want := before + begin + table.text + end + after
		if *update {
			write(t, table.file, want)
		} else if diff := cmp.Diff(want, text); diff != "" {
			t.Errorf("%s does not match action.yml; run go test . -update to rewrite the tables:\n%s", table.file, diff)
		}
	}
}

type inputGroup struct {
	title  string
	inputs []inputs.Input
}

// inputGroups returns the inputs of action.yml, grouped by the comments above them.
func inputGroups(t *testing.T) (groups []inputGroup) {
	t.Helper()
	var file struct{ Inputs yaml.Node }
	if err := yaml.Unmarshal(definition, &file); err != nil {
		t.Fatal(err)
	}
	for i, input := range parseActionYML(t).Inputs {
		comment := file.Inputs.Content[2*i].HeadComment
		if i == 0 && comment == "" {
			comment = file.Inputs.HeadComment
		}
		if comment != "" {
			groups = append(groups, inputGroup{title: strings.TrimSuffix(strings.TrimLeft(comment, "# "), ".")})
		}
		if len(groups) == 0 {
			t.Fatalf("action.yml has no comment above the input %s", input.Name)
		}
		last := &groups[len(groups)-1]
		last.inputs = append(last.inputs, input)
	}
	if len(groups) < 5 || len(groups[0].inputs) != 10 {
		t.Fatalf("action.yml has %d groups of inputs, %d inputs in the first", len(groups), len(groups[0].inputs))
	}
	return groups
}

func inputTable(list []inputs.Input) string {
	var b strings.Builder
	b.WriteString("| input | description | default |\n|---|---|---|\n")
	for _, input := range list {
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
	b.WriteString("| output | description |\n|---|---|\n")
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

// cell escapes text for a cell of a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "|", "&#124;", "\n", " ").Replace(text)
}

// documents returns the Markdown files of this repository, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			found[file] = readFile(t, file)
		}
	}
	if len(found) < 14 {
		t.Fatalf("found %d Markdown files", len(found))
	}
	return found
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestREADMEIsShort(t *testing.T) {
	if lines := strings.Count(readFile(t, "README.md"), "\n"); lines > 160 {
		t.Errorf("README.md has %d lines; the limit is 160, the rest belongs in docs/", lines)
	}
}

var yamlBlock = regexp.MustCompile("(?s)```ya?ml\n(.*?)```")

func TestDocsUseOnlyExistingInputs(t *testing.T) {
	used := map[string]int{}
	for file, text := range documents(t) {
		for _, block := range yamlBlock.FindAllStringSubmatch(text, -1) {
			var document yaml.Node
			if err := yaml.Unmarshal([]byte(block[1]), &document); err != nil {
				t.Errorf("%s contains invalid YAML: %v\n%s", file, err, block[1])
			}
			for _, name := range inputsUsed(&document) {
				used[file]++
				if !slices.ContainsFunc(parseActionYML(t).Inputs, func(i inputs.Input) bool { return i.Name == name }) {
					t.Errorf("%s uses the input %s, which action.yml does not have", file, name)
				}
			}
		}
	}
	if used["README.md"] < 5 || len(used) < 4 {
		t.Errorf("inputs used, by file: %v", used)
	}
}

var jsonBlock = regexp.MustCompile("(?s)```json\n(.*?)```")

func TestPoliciesInDocsAreJSON(t *testing.T) {
	checked := 0
	for file, text := range documents(t) {
		for _, block := range jsonBlock.FindAllStringSubmatch(text, -1) {
			checked++
			if !json.Valid([]byte(block[1])) {
				t.Errorf("%s contains a block that is not JSON:\n%s", file, block[1])
			}
		}
	}
	if checked == 0 {
		t.Error("the docs have no policy")
	}
}

var awsCall = regexp.MustCompile(`\b(ecr|s3|ssm|cloudwatchlogs)\.([A-Z][A-Za-z]+)Input\b`)

func TestPermissionsPageNamesEveryAWSCall(t *testing.T) {
	files, err := filepath.Glob("internal/*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no sources")
	}
	page := strings.ReplaceAll(readFile(t, "docs/permissions.md"), "s3:GetObject", "s3:GetObject s3:HeadObject")
	for _, file := range files {
		for _, call := range awsCall.FindAllStringSubmatch(readFile(t, file), -1) {
			if !strings.HasSuffix(file, "_test.go") && !strings.Contains(page, strings.TrimPrefix(call[1], "cloudwatch")+":"+call[2]) {
				t.Errorf("%s calls %s:%s, which docs/permissions.md does not name", file, call[1], call[2])
			}
		}
	}
}

// inputsUsed returns the keys of with in every step that uses this action.
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

var (
	makeCommand = regexp.MustCompile("(?m)(?:^|`|PATH )make ([a-z][a-z0-9-]*)")
	makeTarget  = regexp.MustCompile(`(?m)^([a-z][a-z0-9%-]*):`)
)

func TestREADMELinksToEveryPageInDocs(t *testing.T) {
	readme := readFile(t, "README.md")
	for file := range documents(t) {
		if strings.HasPrefix(file, "docs/") && !strings.Contains(readme, "("+file+")") {
			t.Errorf("README.md has no link to %s", file)
		}
	}
}

func TestMakeTargetsInDocsExist(t *testing.T) {
	targets := map[string]bool{}
	for _, file := range []string{"Makefile", "laptop/deploy.mk"} {
		for _, match := range makeTarget.FindAllStringSubmatch(readFile(t, file), -1) {
			targets[match[1]] = true
		}
	}
	checked := 0
	for file, text := range documents(t) {
		for _, match := range makeCommand.FindAllStringSubmatch(text, -1) {
			checked++
			if name := match[1]; !targets[name] && (!strings.HasPrefix(name, "deploy-") || !targets["deploy-%"]) {
				t.Errorf("%s names make %s, which neither Makefile nor laptop/deploy.mk has", file, name)
			}
		}
	}
	if checked < 10 {
		t.Errorf("the docs name %d make commands", checked)
	}
}
