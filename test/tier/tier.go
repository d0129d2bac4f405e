// Package tier decides which tests run: `make test` has the quick ones, `make test-all` the long ones as
// well, and CI, which sets SAMPLE_CASES, a random half of those.
package tier

import (
	"hash/maphash"
	"os"
	"slices"
	"strings"
	"testing"
)

// Sampled makes a random half of the long tests, and of the cases of each, enough.
var Sampled = os.Getenv("SAMPLE_CASES") != ""

var seed = maphash.MakeSeed()

// Choose skips a test that is not to run now. The quick ones always do.
func Choose(t *testing.T, quick []string) {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	switch {
	case slices.Contains(quick, name):
	case !Long:
		t.Skip("a long test: make test-all")
	case Sampled && maphash.String(seed, name)%2 == 0:
		t.Skip("not in the sample")
	}
}
