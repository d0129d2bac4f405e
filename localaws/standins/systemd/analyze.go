package systemd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// Analyze is systemd-analyze verify. As with systemd, what a unit would be
// loaded without is a warning; what keeps it from loading, and a program that
// is not there, are errors.
func Analyze(call *instance.Call) int {
	m := &manager{call}
	options, args, err := instance.Parse(call.Args, "man= generators= recursive-errors= no-pager root=", true)
	if err != nil || len(args) < 2 || args[0] != "verify" {
		fmt.Fprintln(os.Stderr, "systemd-analyze: only verify FILE... is known here")
		return 1
	}
	v := &verification{manager: m, given: map[string]string{}, pages: options.Last("man") != "no" && options.Last("man") != "false"}
	for _, file := range args[1:] {
		if strings.Contains(file, ":") {
			fmt.Fprintln(os.Stderr, "Couldn't process aliases: No such file or directory")
			return 1
		}
		path := call.Path(file)
		if _, err := os.Stat(path); err != nil {
			fmt.Fprintf(os.Stderr, "Failed to prepare filename %s: No such file or directory\n", file)
			return 1
		}
		v.given[filepath.Base(file)] = path
	}
	result := 0
	for _, file := range args[1:] {
		if !v.verifyUnit(filepath.Base(file)) {
			result = 1
		}
	}
	return result
}

// verification is of units that are given as files; what they need may lie next
// to any of them.
type verification struct {
	*manager
	given map[string]string // name: path
	pages bool              // whether a manual page that a unit names has to be there; none is
	done  []string
}

// verifyUnit prints what is wrong with a unit. As with systemd 252, what is wrong with
// the unit that a timer starts is printed, but is not an error of the timer: not even
// that it is missing.
func (v *verification) verifyUnit(name string) bool {
	path := v.findUnitFile(name)
	if path == "" || slices.Contains(v.done, name) {
		return true
	}
	v.done = append(v.done, name)
	body, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return false
	}
	u := parseUnit(name, path, string(body))
	for _, warning := range u.warnings {
		fmt.Fprintf(os.Stderr, "%s:%s\n", path, warning)
	}
	_, given := v.given[name]
	problems := u.fatal
	if given {
		problems = append(problems, v.missingPrograms(u)...)
		for _, page := range strings.Fields(strings.Join(u.settings["Unit.Documentation"], " ")) {
			if page, ok := strings.CutPrefix(page, "man:"); ok && v.pages {
				problems = append(problems, fmt.Sprintf("Command 'man %s' failed with code 16", page))
			}
		}
	}
	for _, problem := range problems {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, problem)
	}
	if len(u.fatal) > 0 && given {
		fmt.Fprintf(os.Stderr, "Unit %s has a bad unit file setting.\n", name)
	}
	if trigger := u.triggeredUnit(); strings.HasSuffix(name, ".timer") && v.given[trigger] == "" {
		v.verifyUnit(trigger)
	}
	return len(problems) == 0
}

// findUnitFile is where a unit's file is: given, next to one given, or installed.
func (v *verification) findUnitFile(name string) string {
	if path := v.given[name]; path != "" {
		return path
	}
	for _, file := range v.given {
		path := filepath.Join(filepath.Dir(file), name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if path := v.unitPath(name); path != "" {
		return v.call.Path(path)
	}
	return ""
}

// missingPrograms names the programs of a unit that cannot be run. As systemd 252, and unlike newer ones, it looks at the first
// command of each kind only: https://github.com/systemd/systemd/blob/main/src/analyze/analyze-verify-util.c (verify_executables)
func (m *manager) missingPrograms(u *unit) (problems []string) {
	for _, key := range []string{"ExecStartPre", "ExecStart", "ExecStartPost", "ExecStop", "ExecStopPost"} {
		commands, err := m.parseCommands(u, key, nil)
		if err != nil || len(commands) == 0 || commands[0].ignore {
			continue
		}
		c := commands[0]
		info, err := os.Stat(c.path)
		if err != nil {
			problems = append(problems, fmt.Sprintf("Command %s is not executable: No such file or directory", c.argv[0]))
		} else if info.Mode()&0o111 == 0 && strings.Contains(c.path, "/") {
			problems = append(problems, fmt.Sprintf("Command %s is not executable: Permission denied", c.argv[0]))
		}
	}
	return problems
}
