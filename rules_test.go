package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/org/atta-deploy-action"

// imports are what the packages of this module import directly, without their tests;
// a package is named by its folder, and main by "main".
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

// below tells whether path is the package or folder dir, or in it.
func below(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func TestDependenciesPointOneWay(t *testing.T) {
	rules := []struct {
		what    string
		imports string
		only    []string // packages that may, with all below them
		never   []string // packages that may not
	}{
		{what: "only the edges speak to AWS", imports: "github.com/aws",
			only: []string{"internal/image", "internal/bundle", "internal/fleet", "internal/lease", "internal/clients", "localaws"}},
		{what: "only github knows GitHub", imports: "github.com/sethvargo/go-githubactions", only: []string{"internal/github", "main"}},
		{what: "the local AWS is for tests and the demo", imports: module + "/localaws", only: []string{"localaws", "test", "tools"}},
		{what: "release knows nothing of ours", imports: module, never: []string{"internal/release"}},
		{what: "the inputs are types for those who use them", imports: module + "/internal/inputs", never: []string{"deploy", "internal/release", "internal/github", "internal/lease"}},
		{what: "only main wires", imports: module + "/internal/clients", only: []string{"main"}},
		{what: "only main reports", imports: module + "/internal/report", only: []string{"main"}},
		{what: "the use case is not known below it", imports: module + "/internal/rollout", only: []string{"internal/clients", "internal/report", "main"}},
		{what: "the edges do not know each other", imports: module + "/internal/image", never: []string{"internal/bundle", "internal/fleet"}},
		{what: "the edges do not know each other", imports: module + "/internal/bundle", never: []string{"internal/image", "internal/fleet"}},
		{what: "the edges do not know each other", imports: module + "/internal/fleet", never: []string{"internal/image", "internal/bundle"}},
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

func TestMainFitsOnAPage(t *testing.T) {
	text, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(text, []byte("\n")); lines > 60 {
		t.Errorf("main.go has %d lines, want at most 60", lines)
	}
}
