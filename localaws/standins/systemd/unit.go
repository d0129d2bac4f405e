// Package systemd is a stand-in for systemctl, systemd-analyze and journalctl:
// it reads real unit files, runs a service under a supervisor that outlives
// whoever asked for it, and keeps states, results and a journal as systemd
// does. It knows nothing of cgroups: a service is its process group.
package systemd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// unit is one unit file with its drop-ins.
type unit struct {
	name     string
	path     string              // as the instance knows it
	settings map[string][]string // "Section.Key": what was assigned, in order
	warnings []string            // "line: message", what systemd ignores
	fatal    []string            // why systemd refuses it
}

// manager is what PID 1 is elsewhere: the units and their states on disk.
type manager struct{ call *instance.Call }

func (m *manager) runtimePath(elem ...string) string {
	return m.call.Path(filepath.Join(append([]string{"/run/systemd"}, elem...)...))
}

// unitPath finds a unit's file, that of its template for name@instance.
func (m *manager) unitPath(name string) string {
	names := []string{name}
	if prefix, rest, ok := strings.Cut(name, "@"); ok {
		names = append(names, prefix+"@"+filepath.Ext(rest))
	}
	for _, dir := range []string{"/etc/systemd/system", "/usr/lib/systemd/system"} {
		for _, file := range names {
			path := filepath.Join(dir, file)
			if _, err := os.Stat(m.call.Path(path)); err == nil {
				return path
			}
		}
	}
	return ""
}

// onDisk is the text of a unit's file and drop-ins now.
func (m *manager) onDisk(name string) (path, text string) {
	if path = m.unitPath(name); path == "" {
		return "", ""
	}
	dropIns, _ := filepath.Glob(m.call.Path("/etc/systemd/system/" + name + ".d/*.conf"))
	for _, file := range append([]string{m.call.Path(path)}, dropIns...) {
		body, _ := os.ReadFile(file)
		text += string(body) + "\n"
	}
	return path, text
}

// loadUnit is the unit as of the last daemon-reload, or of its first use since.
func (m *manager) loadUnit(name string) (u *unit, stale bool, err error) {
	if name == "docker.service" {
		return parseUnit(name, "/usr/lib/systemd/system/docker.service", "[Service]\nExecStart=/usr/bin/dockerd\n"), false, nil
	}
	path, text := m.onDisk(name)
	snapshot := m.runtimePath("loaded", name)
	body, err := os.ReadFile(snapshot)
	if os.IsNotExist(err) {
		if path == "" {
			return nil, false, nil
		}
		body = []byte(text)
		err = instance.WriteFile(snapshot, body)
	}
	if err != nil {
		return nil, false, err
	}
	return parseUnit(name, path, string(body)), string(body) != text, nil
}

// reloadUnits takes over what is on disk, file by file: whoever loads a unit at the
// same time sees the old one or the new one.
func (m *manager) reloadUnits() error {
	lock, err := m.lockUnits()
	if err != nil {
		return err
	}
	defer lock.Close()
	loaded, err := filepath.Glob(m.runtimePath("loaded", "*.*"))
	if err != nil {
		return err
	}
	found, err := filepath.Glob(m.call.Path("/etc/systemd/system/*.*"))
	if err != nil {
		return err
	}
	for _, file := range slices.Concat(loaded, found) {
		name := filepath.Base(file)
		if unitName(name) != name {
			continue
		}
		path, text := m.onDisk(name)
		if path == "" {
			err = os.RemoveAll(m.runtimePath("loaded", name))
		} else if info, _ := os.Stat(m.call.Path(path)); info == nil || !info.IsDir() {
			err = instance.WriteFile(m.runtimePath("loaded", name), []byte(text))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parseUnit reads unit syntax: systemd.syntax(7).
func parseUnit(name, path, text string) *unit {
	u := &unit{name: name, path: path, settings: map[string][]string{}}
	section, joined, first := "", "", 0
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line != "" && (line[0] == '#' || line[0] == ';') {
			continue
		}
		if joined == "" {
			first = i + 1
		}
		if head, more := strings.CutSuffix(line, `\`); more {
			joined += head + " "
			continue
		}
		line, joined = strings.TrimSpace(joined+line), ""
		switch key, value, assigned := strings.Cut(line, "="); {
		case line == "":
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
			if _, known := knownKeys[section]; !known && !strings.HasPrefix(section, "X-") {
				u.addWarning(first, "Unknown section '%s'. Ignoring.", section)
			}
		case section == "":
			u.addWarning(first, "Assignment outside of section. Ignoring.")
		case !assigned:
			u.addWarning(first, "Missing '=', ignoring line.")
		default:
			u.assignSetting(first, section, strings.TrimSpace(key), strings.TrimSpace(value))
		}
	}
	u.checkSettings()
	return u
}

func (u *unit) addWarning(line int, format string, args ...any) {
	u.warnings = append(u.warnings, fmt.Sprintf("%d: ", line)+fmt.Sprintf(format, args...))
}

func (u *unit) assignSetting(line int, section, key, value string) {
	known, ok := knownKeys[section]
	if !ok {
		return
	}
	if !slices.Contains(known, key) && !strings.HasPrefix(key, "X-") {
		u.addWarning(line, "Unknown key '%s' in section [%s], ignoring.", key, section)
		return
	}
	if problem := invalidValue(key, value); problem != "" {
		u.addWarning(line, "%s", problem)
		return
	}
	if name := section + "." + key; value == "" {
		delete(u.settings, name) // an empty assignment resets the list
	} else {
		u.settings[name] = append(u.settings[name], value)
	}
	if _, err := splitWords(value); err != nil && strings.HasPrefix(key, "Exec") {
		u.addWarning(line, "Unbalanced quoting, ignoring: \"%s\"", value)
		u.fatal = append(u.fatal, "Unit configuration has fatal error, unit will not be started.")
	}
}

func invalidValue(key, value string) string {
	if value == "" {
		return ""
	}
	switch key {
	case "Type":
		if !slices.Contains([]string{"simple", "exec", "forking", "oneshot", "dbus", "notify", "idle"}, value) {
			return "Failed to parse service type, ignoring: " + value
		}
	case "Restart":
		if !slices.Contains([]string{"no", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog", "always"}, value) {
			return "Failed to parse service restart specifier, ignoring: " + value
		}
	case "TimeoutSec", "TimeoutStartSec", "TimeoutStopSec", "RestartSec", "StartLimitIntervalSec":
		if _, err := parseSpan(value); err != nil {
			return fmt.Sprintf("Failed to parse %s= parameter, ignoring: %s", key, value)
		}
	case "OnActiveSec", "OnBootSec", "OnStartupSec", "OnUnitActiveSec", "OnUnitInactiveSec":
		if _, err := parseSpan(value); err != nil {
			return "Failed to parse timer value, ignoring: " + value
		}
	case "OnCalendar":
		if !isCalendar(value) {
			return "Failed to parse calendar specification, ignoring: " + value
		}
	}
	return ""
}

func (u *unit) checkSettings() {
	starts := len(u.settings["Service.ExecStart"])
	oneshot := u.lastValue("Service.Type") == "oneshot"
	switch {
	case strings.HasSuffix(u.name, ".timer"):
		u.checkTimer()
	case !strings.HasSuffix(u.name, ".service"):
	case starts == 0 && u.settings["Service.ExecStop"] == nil:
		u.fatal = append(u.fatal, "Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing.")
	case starts > 1 && !oneshot:
		u.fatal = append(u.fatal, "Service has more than one ExecStart= setting, which is only allowed for Type=oneshot services. Refusing.")
	case oneshot && slices.Contains([]string{"always", "on-success"}, u.lastValue("Service.Restart")):
		u.fatal = append(u.fatal, "Service has Restart= set to either always or on-success, which isn't allowed for Type=oneshot services. Refusing.")
	}
}

// lastValue is what was assigned last to "Section.Key", or "".
func (u *unit) lastValue(name string) string {
	if values := u.settings[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

func (u *unit) isTrue(name string) bool {
	return slices.Contains([]string{"yes", "true", "on", "1"}, u.lastValue(name))
}

func (u *unit) description() string {
	if text := u.lastValue("Unit.Description"); text != "" {
		return u.expandSpecifiers(text)
	}
	return u.name
}
