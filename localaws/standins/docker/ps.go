package docker

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// line is one line of docker ps.
type line struct {
	ID, Names, Image, Command, CreatedAt, Status, State, Labels string
	labels                                                      map[string]string
}

// Label is one label's value, for templates.
func (l line) Label(key string) string { return l.labels[key] }

func (e *engine) printContainers(args []string) error {
	options, _, err := parseOptions(args, "all,a quiet,q no-trunc filter,f= format=", true)
	if err != nil {
		return err
	}
	all, err := e.listContainers()
	if err != nil {
		return err
	}
	var rows []any
	for _, c := range all {
		keep, err := e.filterContainers(c, options["filter"])
		if err != nil {
			return err
		}
		byStatus := slices.ContainsFunc(options["filter"], func(f string) bool { return strings.HasPrefix(f, "status=") })
		if keep && (c.State.Running || options.Has("all") || byStatus) {
			rows = append(rows, c.psRow(options.Has("no-trunc")))
		}
	}
	format := options.Last("format")
	switch {
	case format != "":
	case options.Has("quiet"):
		format = "{{.ID}}"
	default:
		fmt.Println("CONTAINER ID\tIMAGE\tCOMMAND\tCREATED\tSTATUS\tNAMES")
		format = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.CreatedAt}}\t{{.Status}}\t{{.Names}}"
	}
	return renderTemplate(os.Stdout, format, rows...)
}

func (c *container) psRow(whole bool) line {
	l := line{
		ID: c.Id, Names: c.Name[1:], Image: c.Config.Image, Command: fmt.Sprintf("%q", strings.Join(append([]string{c.Path}, c.Args...), " ")),
		CreatedAt: c.Created, State: c.State.Status, labels: c.Config.Labels,
	}
	if !whole {
		l.ID = l.ID[:12]
	}
	l.Status = map[string]string{"running": "Up", "created": "Created", "exited": fmt.Sprintf("Exited (%d)", c.State.ExitCode)}[c.State.Status]
	var labels []string
	for key, value := range c.Config.Labels {
		labels = append(labels, key+"="+value)
	}
	slices.Sort(labels)
	l.Labels = strings.Join(labels, ",")
	return l
}

// filterContainers applies docker ps --filter: values of the same key are alternatives,
// except labels, which must all be there.
func (e *engine) filterContainers(c *container, filters []string) (bool, error) {
	matched := map[string]bool{}
	for _, filter := range filters {
		key, value, _ := strings.Cut(filter, "=")
		ok := false
		switch key {
		case "name":
			pattern, err := regexp.Compile(value)
			if err != nil {
				return false, daemonError("invalid filter 'name=%s'", value)
			}
			ok = pattern.MatchString(c.Name) || pattern.MatchString(c.Name[1:])
		case "id":
			ok = strings.HasPrefix(c.Id, value)
		case "label":
			label, want, exact := strings.Cut(value, "=")
			have, set := c.Config.Labels[label]
			ok = set && (!exact || have == want)
			key += value
		case "status":
			ok = c.State.Status == value
		case "ancestor":
			img, err := e.findImage(value)
			ok = err == nil && img.Id == c.Image
		default:
			return false, daemonError("invalid filter '%s'", key)
		}
		matched[key] = matched[key] || ok
	}
	for _, ok := range matched {
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

func (e *engine) inspectContainers(args []string) error {
	return e.inspectWith(args, func(ref string) (any, error) { return e.findContainer(ref) })
}

func (e *engine) inspectAny(args []string) error {
	return e.inspectWith(args, func(ref string) (any, error) {
		if c, err := e.findContainer(ref); err == nil {
			return c, nil
		}
		img, err := e.findImage(ref)
		if err != nil {
			return nil, fmt.Errorf("Error: No such object: %s", ref)
		}
		return img, nil
	})
}

func (e *engine) inspectWith(args []string, find func(string) (any, error)) error {
	options, rest, err := parseOptions(args, "format,f= type= size,s", true)
	if err != nil {
		return err
	}
	if err := needArguments("inspect", rest, 1, -1); err != nil {
		return err
	}
	if options.Last("type") == "image" {
		find = func(ref string) (any, error) { return e.findImage(ref) }
	}
	return inspectAll(os.Stdout, options.Last("format"), rest, find)
}
