package fleet

import (
	"time"

	"golang.org/x/time/rate"
)

// ParseReport is what reads a host's output.
var ParseReport = parseReport

// Hurry makes f look every few milliseconds, however often it has looked, and add grace,
// which may be negative, to the time limits of its commands.
func (f *Fleet) Hurry(grace time.Duration) *Fleet {
	f.looks.SetLimit(rate.Inf)
	f.pace = pace{
		first: 2 * time.Millisecond, last: 5 * time.Millisecond, many: 5 * time.Millisecond, stale: time.Hour,
		reply: 500 * time.Millisecond, again: time.Millisecond, grace: grace,
	}
	return f
}

// Stale sets after what time a command of several is looked at in detail anyway.
func (f *Fleet) Stale(d time.Duration) *Fleet {
	f.pace.stale = d
	return f
}
