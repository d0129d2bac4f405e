package docker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"
)

var functions = template.FuncMap{
	"json": func(v any) (string, error) {
		body, err := json.Marshal(v)
		return string(body), err
	},
	"join":    strings.Join,
	"split":   strings.Split,
	"lower":   strings.ToLower,
	"upper":   strings.ToUpper,
	"println": fmt.Sprintln,
}

// renderTemplate prints one line per value through a --format template.
func renderTemplate(w io.Writer, format string, values ...any) error {
	if format == "json" {
		format = "{{json .}}"
	}
	format = strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(strings.TrimPrefix(format, "table "))
	tmpl, err := template.New("").Funcs(functions).Parse(format)
	if err != nil {
		return exitError{64, fmt.Errorf("template parsing error: %w", err)}
	}
	for _, value := range values {
		var line bytes.Buffer
		if err := tmpl.Execute(&line, value); err != nil {
			return exitError{1, fmt.Errorf("template: %w", err)}
		}
		fmt.Fprintln(w, line.String())
	}
	return nil
}

// inspectAll prints what find knows of every name: as a JSON list, or through a
// template. As with docker, what was found is printed even if something was
// not, and a template that found nothing prints an empty line.
func inspectAll(w io.Writer, format string, names []string, find func(string) (any, error)) error {
	found, errs := []any{}, []error(nil)
	for _, name := range names {
		value, err := find(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, value)
	}
	switch {
	case format == "":
		body, err := json.MarshalIndent(found, "", "    ")
		if err != nil {
			return err
		}
		fmt.Fprintln(w, string(body))
	case len(found) == 0:
		fmt.Fprintln(w)
	default:
		errs = append(errs, renderTemplate(w, format, found...))
	}
	return errors.Join(errs...)
}
