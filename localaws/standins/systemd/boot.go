package systemd

import (
	"errors"
	"os"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// boot starts what is enabled, as a boot does: all starts are queued before the
// first one is made, so that what is ordered waits.
func (m *manager) boot() error {
	if err := instance.WriteFile(m.runtime("booted"), nil); err != nil {
		return err
	}
	if err := m.reload(); err != nil {
		return err
	}
	type start struct {
		name, id string
		alive    *os.File
	}
	var starts []start
	lock, err := m.lock()
	if err != nil {
		return err
	}
	for _, name := range m.enabled() {
		if _, waits, _ := m.queued(name); waits {
			continue
		}
		id, alive, enqueueErr := m.enqueue(name)
		if err = errors.Join(err, enqueueErr); alive != nil {
			starts = append(starts, start{name, id, alive})
		}
	}
	_ = lock.Close()
	for _, s := range starts {
		over, attemptErr := m.attempt(s.name, s.id)
		if !over {
			attemptErr = errors.Join(attemptErr, m.wait(s.name, s.id, s.alive))
		}
		err = errors.Join(err, attemptErr, s.alive.Close())
	}
	return err
}

// booted is when the instance was started, the zero of its monotonic clock.
func (m *manager) booted() time.Time {
	info, err := os.Stat(m.runtime("booted"))
	if err != nil {
		return time.Now()
	}
	return info.ModTime()
}
