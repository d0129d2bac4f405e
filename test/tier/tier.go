// Package tier decides which tests of a package run: `make test` has the quick ones, `make test-all` the slow
// ones as well, and CI, which sets SAMPLE_CASES, a random share of those.
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
func Quick(names ...string) error {
	all, err := findTests(names)
	if err != nil {
		return err
	}
	return leaveSlow(len(all), slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(names, name) }))
}

// Slow makes these tests slow.
func Slow(names ...string) error {
	all, err := findTests(names)
	if err != nil {
		return err
	}
	return leaveSlow(len(all), names)
}

// leaveSlow leaves slow tests out, unless -run asks for tests.
func leaveSlow(all int, slow []string) error {
	flag.Parse()
	if Long && !Sampled || flag.Lookup("test.run").Value.String() != "" {
		return nil
	}
	if Long {
		return leaveMost(all, slow)
	}
	return leaveOut(all, slow)
}

// Sample makes a random third of these tests enough where SAMPLE_CASES is set, also if -run asks for them.
func Sample(names ...string) error {
	all, err := findTests(names)
	if err != nil || !Sampled {
		return err
	}
	flag.Parse()
	return leaveMost(len(all), names)
}

// leaveMost leaves a random two thirds of the tests out.
func leaveMost(all int, names []string) error {
	left := slices.Clone(names)
	rand.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
	return leaveOut(all, left[len(left)/3:])
}

func leaveOut(all int, names []string) error {
	if len(names) == 0 {
		return nil
	}
	fmt.Printf("%d of %d tests are left to make test-all and make e2e without SAMPLE_CASES\n", len(names), all)
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
			return nil, fmt.Errorf("there is no test %s", name)
		}
	}
	return all, nil
}
