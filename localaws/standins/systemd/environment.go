package systemd

import (
	"fmt"
	"os"
	"strings"
)

// serviceEnv is what a service's processes see; files win over Environment=.
func (m *manager) serviceEnv(u *unit, invocation string) ([]string, error) {
	env := []string{
		"PATH=" + m.call.Bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8", "ATTA_ROOT=" + m.call.Root, "INVOCATION_ID=" + invocation, "STANDIN_UNIT=" + u.name,
	}
	for _, line := range u.settings["Service.Environment"] {
		words, err := splitWords(u.expandSpecifiers(line))
		if err != nil {
			return nil, err
		}
		env = append(env, words...)
	}
	for _, path := range u.settings["Service.EnvironmentFile"] {
		path, optional := strings.CutPrefix(u.expandSpecifiers(path), "-")
		body, err := os.ReadFile(m.call.Path(path))
		if err != nil && !optional {
			return nil, fmt.Errorf("Failed to load environment files: %w", err)
		}
		env = append(env, readAssignments(string(body))...)
	}
	return env, nil
}

// readAssignments reads an EnvironmentFile: unlike docker's, values may be
// quoted and lines continued.
func readAssignments(text string) (env []string) {
	for _, line := range strings.Split(strings.ReplaceAll(text, "\\\n", ""), "\n") {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		if !ok || line[0] == '#' || line[0] == ';' {
			continue
		}
		value = strings.TrimSpace(value)
		if quoted := len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0]; quoted {
			value = value[1 : len(value)-1]
		}
		env = append(env, strings.TrimSpace(key)+"="+value)
	}
	return env
}
