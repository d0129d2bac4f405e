package docker

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// containerEnv is the image's, then the files', then the options'.
func (e *engine) containerEnv(img image, options instance.Options) ([]string, error) {
	env := slices.Clone(img.Config.Env)
	for _, path := range options["env-file"] {
		lines, err := envFile(e.call.Path(path), e.kind() == kindPodman)
		if err != nil {
			return nil, err
		}
		env = append(env, lines...)
	}
	for _, given := range options["env"] {
		if strings.Contains(given, "=") {
			env = append(env, given)
		} else if value, ok := os.LookupEnv(given); ok {
			env = append(env, given+"="+value)
		}
	}
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		env = append(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	return env, nil
}

// envFile reads an env file as docker does: no quoting, values are taken as they are.
// Podman takes a byte order mark for a part of the first name, and any bytes.
// https://github.com/docker/cli/blob/master/pkg/kvfile/kvfile.go
// https://github.com/containers/podman/blob/main/pkg/env/env.go
func envFile(path string, podman bool) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var env []string
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		if !podman && !utf8.ValidString(line) {
			return nil, fmt.Errorf("invalid env file (%s): invalid utf8 bytes at line %d: %v", path, number, lines.Bytes())
		}
		if number == 1 && !podman {
			line = strings.TrimPrefix(line, "\uFEFF")
		}
		line = strings.TrimLeftFunc(line, unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		key, _, hasValue := strings.Cut(line, "=")
		if key == "" {
			return nil, fmt.Errorf("invalid env file (%s): no variable name on line '%s'", path, line)
		}
		if strings.ContainsFunc(key, unicode.IsSpace) {
			return nil, fmt.Errorf("invalid env file (%s): variable '%s' contains whitespaces", path, key)
		}
		if value, ok := os.LookupEnv(key); !hasValue && ok {
			env = append(env, key+"="+value)
		} else if hasValue {
			env = append(env, line)
		}
	}
	return env, lines.Err()
}
