// Package tier decides which tests of a package run: in `make test` the quick ones, in `make test-all` the slow
// ones as well, and in CI, which sets SAMPLE_CASES, a random third of the slow ones. A test that -run names always runs.
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

// Sampled reports whether a random third of the slow tests, and half of the cases of each, are enough.
var Sampled = os.Getenv("SAMPLE_CASES") != ""

// MarkQuick makes all other tests of the package slow. Call it before m.Run, in the folder of the package.
func MarkQuick(names ...string) error { return skipSlow(names, false) }

// MarkSlow makes these tests slow. Call it before m.Run, in the folder of the package.
func MarkSlow(names ...string) error { return skipSlow(names, true) }

var testFunc = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(t `)

// skipSlow skips the tests that are slow, if they are not wanted: those with these names, or all others.
func skipSlow(names []string, slow bool) error {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		return err
	}
	var all, skipped []string
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
			skipped = append(skipped, name)
		}
	}
	flag.Parse()
	if Long {
		rand.Shuffle(len(skipped), func(i, j int) { skipped[i], skipped[j] = skipped[j], skipped[i] })
		skipped = skipped[len(skipped)/3:]
	}
	if Long && !Sampled || len(skipped) == 0 || flag.Lookup("test.run").Value.String() != "" {
		return nil
	}
	fmt.Printf("%d of %d tests are skipped; make test-all without SAMPLE_CASES runs them\n", len(skipped), len(all))
	return flag.Set("test.skip", "^("+strings.Join(skipped, "|")+")$")
}
