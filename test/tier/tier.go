// Package tier decides which tests of a package run: in `make test` the quick ones, in `make test-all` the slow
// ones as well, and in CI, which sets SAMPLE_CASES, a random quarter of the slow ones.
package tier

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Sampled reports whether a random quarter of the slow tests, and half of the cases of each, are enough.
var Sampled = os.Getenv("SAMPLE_CASES") != "" //nolint:forbidigo // no input of the action

// Some returns all cases or, where the slow tests are not wanted, a random eight of them.
func Some[K comparable, V any](cases map[K]V) map[K]V {
	some := maps.Clone(cases)
	for key := range some { // in a random order
		if !Long && len(some) > 8 {
			delete(some, key)
		}
	}
	return some
}

// MarkQuick makes all other tests of the package slow. Call it before m.Run, in the folder of the package.
func MarkQuick(names ...string) error {
	all, err := findTests(names)
	if err != nil {
		return err
	}
	return skipSlow(len(all), slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(names, name) }))
}

// MarkSlow makes these tests slow. Call it before m.Run, in the folder of the package.
func MarkSlow(names ...string) error {
	all, err := findTests(names)
	if err != nil {
		return err
	}
	return skipSlow(len(all), names)
}

// skipSlow skips slow tests that are not wanted, unless -run asks for tests.
func skipSlow(all int, slow []string) error {
	flag.Parse()
	if Long && !Sampled || flag.Lookup("test.run").Value.String() != "" {
		return nil
	}
	if Long {
		return skipMost(all, slow)
	}
	return skip(all, slow)
}

// MarkSampled makes a random quarter of these tests enough where SAMPLE_CASES is set, also if -run asks for them.
func MarkSampled(names ...string) error {
	all, err := findTests(names)
	if err != nil || !Sampled {
		return err
	}
	flag.Parse()
	return skipMost(len(all), names)
}

// skipMost skips three quarters of the tests, at random.
func skipMost(all int, names []string) error {
	skipped := slices.Clone(names)
	rand.Shuffle(len(skipped), func(i, j int) { skipped[i], skipped[j] = skipped[j], skipped[i] })
	return skip(all, skipped[len(skipped)/4:])
}

func skip(all int, names []string) error {
	if len(names) == 0 {
		return nil
	}
	fmt.Printf("%d of %d tests are skipped; make test-all and make e2e without SAMPLE_CASES run them\n", len(names), all)
	return flag.Set("test.skip", "^("+strings.Join(names, "|")+")$")
}

var testFunc = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(t `)

// findTests returns the names of the package's tests, of which these must be some.
func findTests(names []string) (all []string, err error) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, found := range testFunc.FindAllSubmatch(text, -1) {
			all = append(all, string(found[1]))
		}
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("the package has no test %s", name)
		}
	}
	return all, nil
}
