//go:build !e2e

package host_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
)

// sampled makes a random half of the cases enough in the long tests.
var sampled = os.Getenv("SAMPLE_CASES") != ""

// representatives are the cases of these names, and in the long tests all cases, or a sample of them.
func representatives[T any](cases map[string]T, names ...string) map[string]T {
	if long && !sampled {
		return cases
	}
	if long {
		others := slices.Collect(maps.Keys(cases))
		rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		names = others[:(len(others)+1)/2]
	}
	few := map[string]T{}
	for _, name := range names {
		few[name] = cases[name]
	}
	return few
}
