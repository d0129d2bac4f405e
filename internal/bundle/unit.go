package bundle

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/deploy"
)

// defaultUnits returns the paths of the built-in units by mode.
func defaultUnits() map[string]string {
	return map[string]string{"job": deploy.JobUnit, "service": deploy.ServiceUnit}
}

// isDefaultUnit reports whether a file is an unchanged copy of a built-in unit.
func isDefaultUnit(name string, content []byte) bool {
	if name != deploy.JobUnit && name != deploy.ServiceUnit {
		return false
	}
	unit, err := deploy.Files.ReadFile(name)
	return err == nil && string(unit) == string(content)
}

// unitFile matches the files that systemd treats as units, and their drop-ins:
// https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html
var unitFile = regexp.MustCompile(`^systemd/.*\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)(\.d/.*)?$`)

// misplacedReason returns why a unit would not be installed, or "".
func misplacedReason(name, service string) string {
	installed := regexp.MustCompile(`^systemd/` + service + `(-[A-Za-z0-9_.-]+)?\.(service|timer)$`)
	switch {
	case name == "systemd/"+service+"-recover.service":
		return "has a name that is reserved for the deploy"
	case unitFile.MatchString(name) && !installed.MatchString(name):
		return fmt.Sprintf("would not be installed; a unit is named %s.service, %[1]s.timer, %[1]s-SOMETHING.service or %[1]s-SOMETHING.timer", service)
	}
	return ""
}

// checkUnits checks that the repository's unit matches the requested mode, and that the unit of each timer is in the bundle.
func checkUnits(folder, service, mode string, own, files map[string]file) error {
	var problems []error
	name := "systemd/" + service + ".service"
	if unit, ok := own["deploy/"+name]; ok && mode != "" {
		is := "service"
		if lastUnitValue(unit, "Service.Type") == "oneshot" {
			is = "job"
		}
		if is != mode {
			problems = append(problems, fmt.Errorf("mode is %s, but %s in bundle-path %s is a %s; a job has Type=oneshot", mode, name, folder, is))
		}
	}
	for _, timer := range slices.Sorted(maps.Keys(own)) {
		if path.Dir(timer) != "deploy/systemd" || path.Ext(timer) != ".timer" {
			continue
		}
		starts := lastUnitValue(own[timer], "Timer.Unit")
		if starts == "" {
			starts = strings.TrimSuffix(path.Base(timer), ".timer") + ".service"
		}
		if _, ok := files["deploy/systemd/"+starts]; !ok {
			problems = append(problems, fmt.Errorf("bundle-path %s: %q starts %s, which is not in the bundle", folder, strings.TrimPrefix(timer, "deploy/"), starts))
		}
	}
	return errors.Join(problems...)
}

// lastUnitValue returns the value of a setting, as "Section.Key", that counts: the last one. It
// reads units as unit_setting of deploy/lib/unit_file.sh does, with which a test compares it.
func lastUnitValue(unit file, setting string) (last string) {
	section := ""
	for _, line := range unitLines(string(unit.content)) {
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = line[1 : len(line)-1]
		} else if key, value, ok := strings.Cut(line, "="); ok && section+"."+strings.TrimRight(key, " \t") == setting {
			last = cmp.Or(strings.TrimLeft(value, " \t"), last)
		}
	}
	return last
}

// unitLines returns the lines of a unit without comments, those that continue joined.
// https://www.freedesktop.org/software/systemd/man/latest/systemd.syntax.html
func unitLines(text string) (lines []string) {
	joined := ""
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if trimmed := strings.TrimLeft(line, " \t"); trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
			continue // also within a line that continues
		}
		if backslashes := len(line) - len(strings.TrimRight(line, `\`)); backslashes%2 == 1 {
			joined += line[:len(line)-1] + " "
			continue
		}
		lines = append(lines, strings.Trim(joined+line, " \t"))
		joined = ""
	}
	return append(lines, strings.Trim(joined, " \t"))
}
