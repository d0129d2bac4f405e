package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/org/atta-deploy-action"

// imports returns what each package of this module imports directly, without its tests,
// by the folder of the package, or "main".
func imports(t *testing.T) map[string][]string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if name == "" {
			name = "main"
		}
		found[name] = p.Imports
	}
}

// below reports whether path is dir or is in it.
func below(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func TestDependenciesPointOneWay(t *testing.T) {
	rules := []struct {
		what    string
		imports string
		only    []string // packages that may, with all packages in them
		never   []string // packages that must not
	}{
		{what: "only these packages call AWS", imports: "github.com/aws",
			only: []string{"internal/image", "internal/bundle", "internal/storage", "internal/fleet", "internal/lease", "internal/clients", "localaws"}},
		{what: "only github uses the GitHub toolkit", imports: "github.com/sethvargo/go-githubactions", only: []string{"internal/github", "main"}},
		{what: "the local AWS is for tests and the demo", imports: module + "/localaws", only: []string{"localaws", "test", "tools"}},
		{what: "release imports nothing of this module", imports: module, never: []string{"internal/release"}},
		{what: "deploy imports nothing of this module", imports: module, never: []string{"deploy"}},
		{what: "the types of the inputs are shared", imports: module + "/internal/inputs",
			only: []string{"internal/clients", "internal/fleet", "internal/image", "internal/rollout", "internal/report", "main", "localaws", "test", "tools"}},
		{what: "report does no I/O", imports: "os", never: []string{"internal/report"}},
		{what: "report does no I/O", imports: "net", never: []string{"internal/report"}},
		{what: "only main builds the clients", imports: module + "/internal/clients", only: []string{"main"}},
		{what: "only main reports", imports: module + "/internal/report", only: []string{"main"}},
		{what: "nothing below rollout imports it", imports: module + "/internal/rollout", only: []string{"internal/clients", "internal/report", "main"}},
		{what: "only what is kept in S3 uses the bucket", imports: module + "/internal/storage",
			only: []string{"internal/bundle", "internal/lease", "internal/clients", "internal/rollout", "internal/report"}},
		{what: "the AWS packages do not import each other", imports: module + "/internal/image", never: []string{"internal/bundle", "internal/fleet"}},
		{what: "the AWS packages do not import each other", imports: module + "/internal/bundle", never: []string{"internal/image", "internal/fleet"}},
		{what: "the AWS packages do not import each other", imports: module + "/internal/fleet", never: []string{"internal/image", "internal/bundle"}},
	}
	packages := imports(t)
	for _, needed := range []string{"main", "internal/fleet", "internal/rollout", "localaws"} {
		if len(packages[needed]) == 0 {
			t.Fatalf("%s is not among the packages", needed)
		}
	}
	for _, rule := range rules {
		for name, list := range packages {
			in := func(dir string) bool { return below(name, dir) }
			allowed := slices.ContainsFunc(rule.only, in) || len(rule.only) == 0 && !slices.ContainsFunc(rule.never, in)
			i := slices.IndexFunc(list, func(path string) bool { return below(path, rule.imports) })
			if i >= 0 && !allowed {
				t.Errorf("%s: %s imports %s", rule.what, name, list[i])
			}
		}
	}
}

func TestFilesAreSmall(t *testing.T) {
	const maxProductLines = 15496 // raise it with a reason in the commit
	total := 0
	for _, file := range trackedFiles(t, "*.go", "*.sh", "*.bash", "*.bats", "*.mk", "README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		limit := 300
		switch file {
		case "main.go":
			limit = 60
		case "README.md":
			limit = 160
		}
		lines := bytes.Count(text, []byte("\n"))
		if lines > limit {
			t.Errorf("%s has %d lines, want at most %d", file, lines, limit)
		}
		if isProduct(file) {
			total += lines
		}
	}
	if total == 0 || total > maxProductLines {
		t.Errorf("the product has %d lines of Go, want at most %d", total, maxProductLines)
	}
}

func trackedFiles(t *testing.T, patterns ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", append([]string{"ls-files", "--"}, patterns...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// isProduct reports whether a file is Go code of the action.
func isProduct(file string) bool {
	return strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go") &&
		!slices.ContainsFunc([]string{"localaws", "test", "tools"}, func(dir string) bool { return below(file, dir) })
}

// singleWord matches a function named by one lower-case word.
var singleWord = regexp.MustCompile(`^[a-z]+$`)

func TestNamesAreDocumentedAndDescriptive(t *testing.T) {
	const maxSingleWordPercent = 15
	functions, single := 0, 0
	document := func(doc *ast.CommentGroup, names ...*ast.Ident) {
		for _, name := range names {
			if name.IsExported() && doc == nil {
				t.Errorf("%s is not documented", name.Name)
			}
		}
	}
	for _, file := range trackedFiles(t, "*.go") {
		if !isProduct(file) {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				functions++
				if singleWord.MatchString(d.Name.Name) && d.Name.Name != "main" {
					single++
				}
				if d.Recv == nil {
					document(d.Doc, d.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch sp := spec.(type) {
					case *ast.TypeSpec:
						document(cmp.Or(sp.Doc, d.Doc, sp.Comment), sp.Name)
					case *ast.ValueSpec:
						document(cmp.Or(sp.Doc, d.Doc, sp.Comment), sp.Names...)
					}
				}
			}
		}
	}
	if functions == 0 || 100*single > maxSingleWordPercent*functions {
		t.Errorf("%d of %d functions are named by a single word, want at most %d %%", single, functions, maxSingleWordPercent)
	}
}
