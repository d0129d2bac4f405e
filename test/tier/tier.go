// Package tier decides which tests of a package run: `make test` has the quick ones, `make test-all` the slow
// ones as well, and CI, which sets SAMPLE_CASES, a random third of those. Tests that are asked for with -run do.
package tier

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Sampled makes a random third of the slow tests, and half of the cases of each, enough.
var Sampled = os.Getenv("SAMPLE_CASES") != ""

// Quick makes all other tests of the package slow. To be called before m.Run; the working directory has the package's files.
func Quick(names ...string) error { return choose(names, false) }

// Slow makes these tests slow.
func Slow(names ...string) error { return choose(names, true) }

var testFunc = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(t `)

func choose(names []string, slow bool) error {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		return err
	}
	var all, left []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, found := range testFunc.FindAllSubmatch(text, -1) {
			all = append(all, string(found[1]))
		}
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return fmt.Errorf("there is no test %s", name)
		}
	}
	for _, name := range all {
		if slices.Contains(names, name) == slow {
			left = append(left, name)
		}
	}
	flag.Parse()
	if Long {
		rand.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		left = left[len(left)/3:]
	}
	if Long && !Sampled || len(left) == 0 || flag.Lookup("test.run").Value.String() != "" {
		return nil
	}
	fmt.Printf("%d of %d tests are left to make test-all without SAMPLE_CASES\n", len(left), len(all))
	return flag.Set("test.skip", "^("+strings.Join(left, "|")+")$")
}
