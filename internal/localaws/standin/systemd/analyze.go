package systemd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/org/atta-deploy-action/internal/localaws/standin/instance"
)

// Analyze is systemd-analyze verify. As with systemd, what a unit would be
// loaded without is a warning; what keeps it from loading, and a program that
// is not there, are errors.
func Analyze(call *instance.Call) int {
	m := &manager{call}
	_, args, err := instance.Parse(call.Args, "man= generators= recursive-errors= no-pager root=", true)
	if err != nil || len(args) < 2 || args[0] != "verify" {
		fmt.Fprintln(os.Stderr, "systemd-analyze: only verify FILE... is known here")
		return 1
	}
	result := 0
	for _, file := range args[1:] {
		path := call.Path(file)
		body, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintf(os.Stderr, "Failed to prepare filename %s: No such file or directory\n", file)
			return 1
		}
		u := parseUnit(filepath.Base(file), path, string(body))
		for _, warning := range u.warnings {
			fmt.Fprintf(os.Stderr, "%s:%s\n", path, warning)
		}
		for _, problem := range append(u.fatal, m.missing(u)...) {
			fmt.Fprintf(os.Stderr, "%s: %s\n", u.name, problem)
			result = 1
		}
		if len(u.fatal) > 0 {
			fmt.Fprintf(os.Stderr, "Unit %s has a bad unit file setting.\n", u.name)
		}
	}
	return result
}

// missing names the programs of a unit that cannot be run.
func (m *manager) missing(u *unit) (problems []string) {
	for _, key := range []string{"ExecStartPre", "ExecStart", "ExecStartPost", "ExecStop", "ExecStopPost"} {
		commands, err := m.commands(u, key, nil)
		if err != nil {
			continue
		}
		for _, c := range commands {
			info, err := os.Stat(c.path)
			if err != nil {
				problems = append(problems, fmt.Sprintf("Command %s is not executable: No such file or directory", c.argv[0]))
			} else if info.Mode()&0o111 == 0 && strings.Contains(c.path, "/") {
				problems = append(problems, fmt.Sprintf("Command %s is not executable: Permission denied", c.argv[0]))
			}
		}
	}
	return problems
}
