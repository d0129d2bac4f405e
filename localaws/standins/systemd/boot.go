package systemd

import (
	"errors"
	"os"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// bootUnits starts what is enabled, as a boot does: all starts are queued before the
// first one is made, so that what is ordered waits.
func (m *manager) bootUnits() error {
	if err := instance.MarkBoot(m.runtimePath("booted")); err != nil {
		return err
	}
	if err := m.reloadUnits(); err != nil {
		return err
	}
	type start struct {
		name, id string
		alive    *os.File
	}
	var starts []start
	lock, err := m.lockUnits()
	if err != nil {
		return err
	}
	for _, name := range m.enabledUnits() {
		if _, waits, _ := m.findQueuedStart(name); waits {
			continue
		}
		id, alive, enqueueErr := m.queueStart(name)
		if err = errors.Join(err, enqueueErr); alive != nil {
			starts = append(starts, start{name, id, alive})
		}
	}
	_ = lock.Close()
	for _, s := range starts {
		over, attemptErr := m.tryQueuedStart(s.name, s.id)
		if !over {
			attemptErr = errors.Join(attemptErr, m.spawnQueuedStart(s.name, s.id, s.alive))
		}
		err = errors.Join(err, attemptErr, s.alive.Close())
	}
	return err
}

// clockZero is the zero of the clock of the instance's kernel.
func (m *manager) clockZero() time.Time {
	text, _ := os.ReadFile(m.runtimePath("booted"))
	zero, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return m.bootTime()
	}
	return zero
}

// bootTime is when the instance was started.
func (m *manager) bootTime() time.Time {
	info, err := os.Stat(m.runtimePath("booted"))
	if err != nil {
		return time.Now()
	}
	return info.ModTime()
}
