package bundle

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/deploy"
)

// defaultUnits are the paths of the units that serve any service, by mode.
func defaultUnits() map[string]string {
	return map[string]string{"job": deploy.JobUnit, "service": deploy.ServiceUnit}
}

// isDefaultUnit tells a copy of such a unit, which is not the repository's own.
func isDefaultUnit(name string, content []byte) bool {
	if name != deploy.JobUnit && name != deploy.ServiceUnit {
		return false
	}
	unit, err := deploy.Files.ReadFile(name)
	return err == nil && string(unit) == string(content)
}

// unitFile is what systemd takes for a unit.
// https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html
var unitFile = regexp.MustCompile(`^systemd/.*\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$`)

// misplaced says why the unit of that name would not be installed, or nothing.
func misplaced(name, service string) string {
	installed := regexp.MustCompile(`^systemd/` + service + `(-[A-Za-z0-9_.-]+)?\.(service|timer)$`)
	switch {
	case name == "systemd/"+service+"-recover.service":
		return "has a name that the deploy itself takes"
	case unitFile.MatchString(name) && !installed.MatchString(name):
		return fmt.Sprintf("would not be installed; a unit is named %s.service, %[1]s.timer, %[1]s-SOMETHING.service or %[1]s-SOMETHING.timer", service)
	}
	return ""
}

// checkUnits holds the repository's unit against the mode that was asked for, and
// looks for what each timer starts.
func checkUnits(folder, service, mode string, own, files map[string]file) error {
	var problems []error
	name := "systemd/" + service + ".service"
	if unit, ok := own["deploy/"+name]; ok && mode != "" {
		is := "service"
		if setting(unit, "Type") == "oneshot" {
			is = "job"
		}
		if is != mode {
			problems = append(problems, fmt.Errorf("mode is %s and %s in bundle-path %s is a %s; a job has Type=oneshot", mode, name, folder, is))
		}
	}
	for _, timer := range slices.Sorted(maps.Keys(own)) {
		if path.Dir(timer) != "deploy/systemd" || path.Ext(timer) != ".timer" {
			continue
		}
		starts := setting(own[timer], "Unit")
		if starts == "" {
			starts = strings.TrimSuffix(path.Base(timer), ".timer") + ".service"
		}
		if _, ok := files["deploy/systemd/"+starts]; !ok {
			problems = append(problems, fmt.Errorf("bundle-path %s: %q starts %s, which the bundle does not hold", folder, strings.TrimPrefix(timer, "deploy/"), starts))
		}
	}
	return errors.Join(problems...)
}

// setting is the last value that a unit gives a key.
func setting(unit file, key string) string {
	lines := regexp.MustCompile(`(?m)^[ \t]*`+key+`[ \t]*=(.*)$`).FindAllSubmatch(unit.content, -1)
	if len(lines) == 0 {
		return ""
	}
	return strings.TrimSpace(string(lines[len(lines)-1][1]))
}
