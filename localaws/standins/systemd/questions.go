package systemd

import (
	"fmt"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// isActive answers with a line for each unit; as with all these questions, one
// that is makes the exit status 0: systemctl(1).
func (m *manager) isActive(names []string, options instance.Options) error {
	return m.isAnyInState("active", notActive, names, options)
}

func (m *manager) isFailed(names []string, options instance.Options) error {
	return m.isAnyInState("failed", 1, names, options)
}

func (m *manager) isAnyInState(wanted string, otherwise status, names []string, options instance.Options) error {
	found := false
	for _, name := range names {
		s, err := m.readState(name)
		if err != nil {
			return err
		}
		if !options.Has("quiet") {
			fmt.Println(s.Active)
		}
		found = found || s.Active == wanted
	}
	if !found {
		return otherwise
	}
	return nil
}

// isEnabled stops at the first unit that has no file.
func (m *manager) isEnabled(names []string, options instance.Options) error {
	found := false
	for _, name := range names {
		state := m.fileState(name)
		if state == "" {
			return fmt.Errorf("Failed to get unit file state for %s: No such file or directory", name)
		}
		if !options.Has("quiet") {
			fmt.Println(state)
		}
		found = found || state != "disabled"
	}
	if !found {
		return status(1)
	}
	return nil
}
