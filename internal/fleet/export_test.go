package fleet

import "time"

// ParseReport is what reads a host's output.
var ParseReport = parseReport

// Hurry makes f look every few milliseconds and add grace, which may be negative,
// to the time limits of its commands.
func (f *Fleet) Hurry(grace time.Duration) *Fleet {
	f.pace = pace{first: 2 * time.Millisecond, last: 5 * time.Millisecond, reply: 500 * time.Millisecond, grace: grace}
	return f
}
