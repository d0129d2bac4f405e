package systemd

import (
	"fmt"
	"os"
	"strings"
)

// hasUnmetCondition checks the conditions of a unit whose start is due, and says in the
// journal which one does not hold. That is not a failure: systemd.unit(5).
func (m *manager) hasUnmetCondition(u *unit) bool {
	for key, holds := range map[string]func(os.FileInfo) bool{
		"ConditionPathExists":      func(os.FileInfo) bool { return true },
		"ConditionPathIsDirectory": os.FileInfo.IsDir,
		"ConditionFileNotEmpty":    func(info os.FileInfo) bool { return info.Mode().IsRegular() && info.Size() > 0 },
	} {
		for _, value := range u.settings["Unit."+key] {
			path, negated := strings.CutPrefix(u.expandSpecifiers(value), "!")
			info, err := os.Stat(m.call.Path(path))
			if met := err == nil && holds(info); met != negated {
				continue
			}
			m.logMessage(u.name, "", "%s was skipped because of an unmet condition check (%s=%s).", u.journalTitle(), key, u.expandSpecifiers(value))
			return true
		}
	}
	return false
}

// journalTitle is how the journal calls a unit since systemd 249 on Debian.
func (u *unit) journalTitle() string {
	if u.description() == u.name {
		return u.name
	}
	return u.name + " - " + u.description()
}

// logMessage puts a message of systemd's own about a unit into the journal.
func (m *manager) logMessage(unit, invocation, format string, args ...any) {
	_ = m.appendToJournal(record{Unit: unit, Invocation: invocation, Identifier: "systemd", PID: 1, Message: fmt.Sprintf(format, args...)})
}
