package inputs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrHelp is returned by Definition.Read when --help or -h is given.
var ErrHelp = errors.New("help requested")

// collectValues returns the text of each input: from its flag, or else its variable, or else its default. Empty text counts
// as unset, because an unset ${{ vars.X }} expands to it. Unknown names are problems.
func (d Definition) collectValues(environ, args []string) (map[string]string, []error) {
	values := map[string]string{}
	for _, input := range d.Inputs {
		values[input.Name] = input.Default
	}
	problems := d.readVariables(values, environ)
	return values, append(problems, d.readFlags(values, args)...)
}

func (d Definition) readVariables(values map[string]string, environ []string) (problems []error) {
	for _, entry := range environ {
		variable, value, _ := strings.Cut(entry, "=")
		name, isInput := strings.CutPrefix(variable, "INPUT_")
		// The runner itself interprets the inputs args and entrypoint of a container action.
		if !isInput || name == "ARGS" || name == "ENTRYPOINT" {
			continue
		}
		input, ok := d.findInput(strings.ToLower(name))
		if !ok {
			problems = append(problems, fmt.Errorf("%.60s is not an input%s", variable, d.suggestInput(name, Input.variableName)))
			continue
		}
		setNonEmpty(values, input.Name, value)
	}
	return problems
}

func (d Definition) readFlags(values map[string]string, args []string) (problems []error) {
	given := map[string]bool{}
	for _, arg := range args {
		name, value, hasValue := strings.Cut(arg, "=")
		input, ok := d.findInput(strings.TrimPrefix(name, "--"))
		switch {
		case arg == "--help", arg == "-h":
			return []error{ErrHelp}
		case !strings.HasPrefix(name, "-"):
			problems = append(problems, fmt.Errorf("argument %.60q: want --name=value", arg))
		case !ok || !strings.HasPrefix(name, "--"):
			problems = append(problems, fmt.Errorf("flag %.60q is not an input%s", name, d.suggestInput(name, Input.flagName)))
		case given[input.Name]:
			problems = append(problems, fmt.Errorf("flag %s is given more than once", input.flagName()))
		case hasValue:
			setNonEmpty(values, input.Name, value)
		case input.isBoolean():
			values[input.Name] = "true"
		default:
			problems = append(problems, fmt.Errorf("flag %s has no value: want %[1]s=value", input.flagName()))
		}
		given[input.Name] = ok
	}
	return problems
}

func (d Definition) findInput(name string) (Input, bool) {
	i := slices.IndexFunc(d.Inputs, func(input Input) bool { return input.Name == name })
	if i < 0 {
		return Input{}, false
	}
	return d.Inputs[i], true
}

func setNonEmpty(values map[string]string, name, value string) {
	if value = strings.TrimSpace(value); value != "" {
		values[name] = value
	}
}
