package fleet

import (
	"time"

	"golang.org/x/time/rate"
)

// Hurry makes f look every few milliseconds, however often it has looked, and add grace,
// which may be negative, to the time limits of its commands.
func (f *Fleet) Hurry(grace time.Duration) *Fleet {
	f.limiter.SetLimit(rate.Inf)
	f.timing = timing{
		firstPoll: 2 * time.Millisecond, slowestPoll: 5 * time.Millisecond, slowestPollMany: 5 * time.Millisecond, maxListAge: time.Hour,
		sendGrace: 500 * time.Millisecond, sendBackoff: time.Millisecond, answerGrace: grace,
	}
	return f
}

// Stale sets after what time a command of several is looked at in detail anyway.
func (f *Fleet) Stale(d time.Duration) *Fleet {
	f.timing.maxListAge = d
	return f
}
