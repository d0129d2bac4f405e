//go:build !long

package host_test

// long reports whether the tests that take minutes of a processor are wanted.
const long = false
