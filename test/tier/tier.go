// Package tier decides which tests run: `make test` has the quick ones, and `make test-all` the long ones as
// well. CI, which sets SAMPLE_CASES, has a random sample of the long ones and of `make e2e`.
package tier

import (
	"hash/maphash"
	"os"
	"slices"
	"strings"
	"testing"
)

// Sampled makes a random sample of the tests, and half of the cases of each, enough.
var Sampled = os.Getenv("SAMPLE_CASES") != ""

var seed = maphash.MakeSeed()

// Choose skips a test that is not to run now. The quick ones always do.
func Choose(t *testing.T, quick []string) {
	t.Helper()
	if !Long && !slices.Contains(quick, testName(t)) {
		t.Skip("a long test: make test-all")
	}
	Sample(t, 3, quick)
}

// Sample skips a test unless it is always to run, or belongs to a random sample, which has one of so many.
func Sample(t *testing.T, of uint64, always []string) {
	t.Helper()
	if Sampled && !slices.Contains(always, testName(t)) && maphash.String(seed, testName(t))%of > 0 {
		t.Skip("not in the sample")
	}
}

func testName(t *testing.T) string {
	name, _, _ := strings.Cut(t.Name(), "/")
	return name
}
