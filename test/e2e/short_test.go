//go:build !long

package e2e

// long reports whether every instance runs the scripts, which take seconds of a processor.
const long = false
