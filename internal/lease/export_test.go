package lease

import "time"

// Hurry makes the ledger's locks live by these times.
func (l *Store) Hurry(expiry, beat, again time.Duration) *Store {
	l.pace = pace{expiry: expiry, beat: beat, again: again, reply: 10 * time.Second}
	return l
}

// Impatient makes the ledger give up a request after that time.
func (l *Store) Impatient(reply time.Duration) *Store {
	l.pace.reply = reply
	return l
}

// Die ends the signs of life as SIGKILL does.
func (k *Lease) Die() {
	k.stop(nil)
	<-k.done
}
