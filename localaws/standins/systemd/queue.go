package systemd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// JobName is the stand-in that waits with one queued start until it may go on.
const JobName = "systemd-job"

// job is a queued start of one unit, kept until the next one of that unit.
type job struct {
	ID         string
	Done       bool
	Canceled   bool   // by a stop
	Problem    string // why it failed
	Invocation string // of what it started, or joined
}

func (m *manager) jobFile(name string) string { return m.runtimePath("jobs", name+".json") }

// jobLock is of one job: the process of one that was canceled holds its lock for a moment longer.
func (m *manager) jobLock(name, id string) string { return m.runtimePath("jobs", name+"."+id+".lock") }

func (m *manager) readJob(name string) (j job, err error) {
	return j, instance.ReadJSON(m.jobFile(name), &j)
}

// findQueuedStart is the start that waits for a unit, if any: one without a process is
// none, as with one whose process was killed.
func (m *manager) findQueuedStart(name string) (j job, waits bool, err error) {
	j, err = m.readJob(name)
	return j, err == nil && j.ID != "" && !j.Done && instance.Locked(m.jobLock(name, j.ID)), err
}

// mustWait reports whether another unit whose start is queued or under way is
// ordered before u. It follows Before= and After= of what is loaded.
func (m *manager) mustWait(u *unit) (bool, error) {
	states, err := filepath.Glob(m.runtimePath("units", "*"))
	if err != nil {
		return false, err
	}
	jobs, err := filepath.Glob(m.runtimePath("jobs", "*.json"))
	if err != nil {
		return false, err
	}
	for _, path := range slices.Concat(states, jobs) {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if name == u.name {
			continue
		}
		other, _, err := m.loadUnit(name)
		if err != nil {
			return false, err
		}
		if !u.namesInOrdering("After", name) && (other == nil || !other.namesInOrdering("Before", u.name)) {
			continue
		}
		s, err := m.readState(name)
		if err != nil {
			return false, err
		}
		_, waits, err := m.findQueuedStart(name)
		if err != nil || waits || s.Active == "activating" && s.Sub != "auto-restart" {
			return true, err
		}
	}
	return false, nil
}

// namesInOrdering reports whether an ordering of u names another unit.
func (u *unit) namesInOrdering(key, name string) bool {
	return slices.ContainsFunc(u.settings["Unit."+key], func(line string) bool {
		return slices.Contains(strings.Fields(u.expandSpecifiers(line)), name)
	})
}

// queueStart leaves a start to a dedicated process, so that the caller can end. The
// returned file is the lock that says the job is alive.
func (m *manager) queueStart(name string) (id string, alive *os.File, err error) {
	id = newInvocation()
	if alive, err = instance.Lock(m.jobLock(name, id)); err != nil {
		return "", nil, err
	}
	return id, alive, instance.WriteJSON(m.jobFile(name), job{ID: id})
}

func (m *manager) spawnQueuedStart(name, id string, alive *os.File) error {
	waiting, err := m.call.Detached(JobName, name, id)
	if err != nil {
		return err
	}
	waiting.ExtraFiles = []*os.File{alive}
	if err := waiting.Start(); err != nil {
		return err
	}
	go func() { _ = waiting.Wait() }()
	return nil
}

// RunJob waits until the start of the unit in the first argument, with the job
// id in the second, may go on. File descriptor 3 holds the lock of the job.
func RunJob(call *instance.Call) int {
	syscall.CloseOnExec(3)
	m := &manager{call}
	for ; ; time.Sleep(pollInterval) {
		if over, err := m.tryQueuedStart(call.Args[0], call.Args[1]); over || err != nil {
			return 0
		}
	}
}

// tryQueuedStart does a queued start if nothing holds it, with the unit as it is
// loaded by then, and reports whether the job is over.
func (m *manager) tryQueuedStart(name, id string) (over bool, err error) {
	lock, err := m.lockUnits()
	if err != nil {
		return false, err
	}
	defer lock.Close()
	j, err := m.readJob(name)
	if err != nil || j.ID != id || j.Done {
		return true, err
	}
	u, _, err := m.loadUnit(name)
	if err != nil {
		return false, err
	}
	s, err := m.readState(name)
	if err != nil {
		return false, err
	}
	if u == nil || len(u.fatal) > 0 {
		m.logMessage(name, "", "Failed to start %s.", name)
		j.Problem = startError(name, "").Error()
	} else {
		held, err := m.mustWait(u)
		if err != nil || held || s.Active == "deactivating" {
			return false, err
		}
		switch s.Active {
		case "active":
		case "activating":
			j.Invocation = s.Invocation
		default:
			if j.Invocation, _, err = m.launchUnit(u, s); err != nil {
				j.Problem = err.Error()
			}
		}
	}
	j.Done = true
	return true, instance.WriteJSON(m.jobFile(name), j)
}

// cancelQueuedStart takes a queued start away, as a stop does.
func (m *manager) cancelQueuedStart(name string) error {
	lock, err := m.lockUnits()
	if err != nil {
		return err
	}
	defer lock.Close()
	j, waits, err := m.findQueuedStart(name)
	if err != nil || !waits {
		return err
	}
	j.Done, j.Canceled = true, true
	return instance.WriteJSON(m.jobFile(name), j)
}

// waitForQueuedStart waits for the end of a queued job and returns what it started.
func (m *manager) waitForQueuedStart(name, id string) (invocation string, err error) {
	for ; ; time.Sleep(pollInterval) {
		_, alive, _ := m.findQueuedStart(name)
		j, err := m.readJob(name)
		switch {
		case err != nil || j.ID != id: // over, and another is queued already
			return "", err
		case j.Canceled:
			return "", fmt.Errorf("Job for %s canceled.", name)
		case j.Problem != "":
			return "", errors.New(j.Problem)
		case j.Done:
			return j.Invocation, nil
		case !alive:
			return "", startError(name, "")
		}
	}
}
