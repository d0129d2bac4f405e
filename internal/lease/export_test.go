package lease

import "time"

// WithTiming replaces the times by which locks are renewed, expire and are waited for.
func (s *Store) WithTiming(expiry, renewInterval, maxPollDelay time.Duration) *Store {
	s.timing = timing{expiry: expiry, renewInterval: renewInterval, maxPollDelay: maxPollDelay, requestTimeout: 10 * time.Second}
	return s
}

// WithRequestTimeout replaces the time limit of a request.
func (s *Store) WithRequestTimeout(limit time.Duration) *Store {
	s.timing.requestTimeout = limit
	return s
}

// StopRenewing ends the renewals without releasing the lock, as SIGKILL does.
func (l *Lease) StopRenewing() {
	l.endHold(nil)
	<-l.done
}
