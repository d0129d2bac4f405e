package systemd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// command is one Exec line, ready to run.
type command struct {
	path   string
	argv   []string
	ignore bool // "-": a failure does not count
}

// parseCommands reads the Exec lines of one kind. Variables come from env.
func (m *manager) parseCommands(u *unit, key string, env []string) ([]command, error) {
	var all []command
	for _, line := range u.settings["Service."+key] {
		words, err := splitWords(line)
		if err != nil || len(words) == 0 {
			return nil, fmt.Errorf("parse %s: %w", key, err)
		}
		program := strings.TrimLeft(words[0], "-@:+!")
		flags := words[0][:len(words[0])-len(program)]
		c := command{path: m.findProgram(u.expandSpecifiers(program)), argv: []string{u.expandSpecifiers(program)}, ignore: strings.Contains(flags, "-")}
		for _, word := range words[1:] {
			word = u.expandSpecifiers(word)
			if strings.Contains(flags, ":") {
				c.argv = append(c.argv, word)
			} else {
				c.argv = append(c.argv, substituteVariables(word, env)...)
			}
		}
		if strings.Contains(flags, "@") && len(c.argv) > 1 {
			c.argv = c.argv[1:]
		}
		all = append(all, c)
	}
	return all, nil
}

// findProgram finds the file that an Exec line starts: a stand-in of that name, a
// file of the instance, or one of this machine.
func (m *manager) findProgram(name string) string {
	system := []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
	candidates := []string{m.call.Path(name), name}
	for _, dir := range system {
		if filepath.Dir(name) == dir {
			candidates = append([]string{filepath.Join(m.call.Bin, filepath.Base(name))}, candidates...)
		}
	}
	if !strings.ContainsRune(name, '/') {
		candidates = []string{filepath.Join(m.call.Bin, name)}
		for _, dir := range system {
			candidates = append(candidates, filepath.Join(dir, name))
		}
	}
	for _, path := range candidates {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return name
}

// splitWords takes a line apart as systemd does: blanks separate, single and double
// quotes join, and a backslash escapes as in C.
func splitWords(line string) ([]string, error) {
	var words []string
	word, started, quote := "", false, rune(0)
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '\\' && i+1 < len(runes):
			i++
			if plain, ok := map[rune]string{'n': "\n", 't': "\t", 's': " ", 'r': "\r", '\\': `\`, '"': `"`, '\'': `'`}[runes[i]]; ok {
				word += plain
			} else {
				word += `\` + string(runes[i])
			}
			started = true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, started = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if started {
				words = append(words, word)
			}
			word, started = "", false
		default:
			word += string(r)
			started = true
		}
	}
	if quote != 0 {
		return nil, errors.New("unbalanced quoting")
	}
	if started {
		words = append(words, word)
	}
	return words, nil
}

// substituteVariables puts variables into one argument: ${NAME} anywhere, one unknown is
// empty; $NAME alone becomes as many words as its value has, quotes included; $$ is a dollar:
// https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Command%20lines
func substituteVariables(word string, env []string) []string {
	if name, ok := strings.CutPrefix(word, "$"); ok && isName(name) {
		value := lookupEnv(env, name)
		if words, err := splitWords(value); err == nil {
			return words
		}
		return strings.Fields(value)
	}
	out := ""
	for {
		before, rest, found := strings.Cut(word, "$")
		out += before
		if !found {
			return []string{out}
		}
		name, after, closed := strings.Cut(strings.TrimPrefix(rest, "{"), "}")
		switch {
		case strings.HasPrefix(rest, "$"):
			out, word = out+"$", rest[1:]
		case strings.HasPrefix(rest, "{") && closed && isName(name):
			out, word = out+lookupEnv(env, name), after
		default:
			out, word = out+"$", rest
		}
	}
}

func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

func lookupEnv(env []string, name string) (value string) {
	for _, pair := range env {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			value = v
		}
	}
	return value
}

// expandSpecifiers replaces specifiers: systemd.unit(5), SPECIFIERS.
func (u *unit) expandSpecifiers(s string) string {
	whole := strings.TrimSuffix(u.name, filepath.Ext(u.name))
	prefix, instance, _ := strings.Cut(whole, "@")
	host, _ := os.Hostname()
	return strings.NewReplacer("%%", "%", "%n", u.name, "%N", whole, "%p", prefix, "%P", prefix, "%i", instance, "%I", instance,
		"%t", "/run", "%S", "/var/lib", "%C", "/var/cache", "%L", "/var/log", "%E", "/etc", "%H", host).Replace(s)
}
