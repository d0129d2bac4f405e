//go:build !e2e

package host_test

// representatives are the cases of these names, and in the long tests all cases.
func representatives[T any](cases map[string]T, names ...string) map[string]T {
	if long {
		return cases
	}
	few := map[string]T{}
	for _, name := range names {
		few[name] = cases[name]
	}
	return few
}
