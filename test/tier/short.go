//go:build !long

package tier

// Long reports whether the tests that take minutes of a processor are wanted.
const Long = false
