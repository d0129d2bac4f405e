package lease

// StopRenewing ends the renewals without releasing the lock, as SIGKILL does.
func (l *Lease) StopRenewing() {
	l.endHold(nil)
	<-l.done
}
