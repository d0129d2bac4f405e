package instance

import (
	"fmt"
	"slices"
	"strings"
)

// Options are the options of one command line, in the order given.
type Options map[string][]string

// Parse reads options as docker, systemctl, journalctl and aws do: --name,
// --name=value, --name value, -n value, -nvalue and joined short switches. Spec
// lists what exists, as in "rm detach,d env,e=": the long name, the short one,
// and = where a value follows. After "--", and after the first plain argument
// unless interspersed, everything is an argument.
func Parse(args []string, spec string, interspersed bool) (Options, []string, error) {
	options, rest := Options{}, []string(nil)
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return options, append(rest, args...), nil
		case len(arg) < 2 || arg[0] != '-':
			rest = append(rest, arg)
			if !interspersed {
				return options, append(rest, args...), nil
			}
		case strings.HasPrefix(arg, "--"):
			key, value, joined := strings.Cut(arg[2:], "=")
			name, takesValue, known := findOption(spec, key)
			if !known || len(key) == 1 {
				return nil, nil, fmt.Errorf("unknown flag: --%s", key)
			}
			if takesValue && !joined {
				if len(args) == 0 {
					return nil, nil, fmt.Errorf("flag needs an argument: --%s", key)
				}
				value, args = args[0], args[1:]
			}
			if !takesValue && !joined {
				value = "true"
			}
			options[name] = append(options[name], value)
		default:
			for short := arg[1:]; short != ""; {
				key := short[:1]
				short = short[1:]
				name, takesValue, known := findOption(spec, key)
				if !known {
					return nil, nil, fmt.Errorf("unknown shorthand flag: '%s' in %s", key, arg)
				}
				value := "true"
				if takesValue {
					if value, short = strings.TrimPrefix(short, "="), ""; value == "" {
						if len(args) == 0 {
							return nil, nil, fmt.Errorf("flag needs an argument: '%s' in %s", key, arg)
						}
						value, args = args[0], args[1:]
					}
				}
				options[name] = append(options[name], value)
			}
		}
	}
	return options, rest, nil
}

func findOption(spec, key string) (name string, takesValue, known bool) {
	for _, field := range strings.Fields(spec) {
		names := strings.Split(strings.TrimSuffix(field, "="), ",")
		if slices.Contains(names, key) {
			return names[0], strings.HasSuffix(field, "="), true
		}
	}
	return "", false, false
}

// Has reports whether a switch is on.
func (o Options) Has(name string) bool {
	value := o.Last(name)
	return value != "" && value != "false"
}

// Last is the value given last, or "".
func (o Options) Last(name string) string {
	if values := o[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}
