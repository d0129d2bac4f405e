package docker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxEvents is how many events the engine remembers:
// https://github.com/moby/moby/blob/master/daemon/events/events.go
const maxEvents = 256

// event is one line of docker events. The engine writes each down when it happens, so what
// really ran can be read there afterwards.
type event struct {
	Action   string
	Type     string
	Actor    actor
	TimeNano int64
	ImageID  string // for tests: the image that the name meant
	Unit     string // for tests: of the stand-in for systemd that started it; empty: none
}

type actor struct {
	ID         string
	Attributes map[string]string
}

func (e *engine) eventsFile() string { return filepath.Join(e.dir, "events.jsonl") }

// recordEvent writes an event of a container down. One short write is not mixed up with
// another.
func (e *engine) recordEvent(c *container, action string, attributes map[string]string) error {
	entry := event{
		Action: action, Type: "container", TimeNano: time.Now().UnixNano(), ImageID: c.Image, Unit: os.Getenv("STANDIN_UNIT"),
		Actor: actor{ID: c.Id, Attributes: map[string]string{"name": c.Name[1:], "image": c.Config.Image}},
	}
	for key, value := range attributes {
		entry.Actor.Attributes[key] = value
	}
	text, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(e.eventsFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.Write(append(text, '\n'))
	return err
}

// printEvents prints the events of the past. Without --until the real command goes on with
// those to come.
func (e *engine) printEvents(args []string) error {
	options, rest, err := parseOptions(args, "since= until= filter,f= format=", true)
	if err != nil {
		return err
	}
	if len(rest) > 0 || options.Last("until") == "" || options.Last("format") == "" {
		return exitError{daemonStatus, fmt.Errorf("docker events without --until and --format is not known here")}
	}
	podman := e.kind() == kindPodman
	since, until := momentOf(options.Last("since")), momentOf(options.Last("until"))
	file, err := os.Open(e.eventsFile())
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	var all []event
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var entry event
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
			return err
		}
		all = append(all, entry)
	}
	for _, entry := range all[max(0, len(all)-maxEvents):] {
		if entry.TimeNano < since || entry.TimeNano > until || !entry.matchesFilters(options["filter"], podman) {
			continue
		}
		var shown any = entry
		if podman {
			shown = entry.forPodman()
		}
		if err := renderTemplate(os.Stdout, options.Last("format"), shown); err != nil {
			return err
		}
	}
	return nil
}

// momentOf reads Unix seconds with a fraction, in nanoseconds.
func momentOf(text string) int64 {
	seconds, fraction, _ := strings.Cut(text, ".")
	whole, _ := strconv.ParseInt(seconds, 10, 64)
	nanos, _ := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	return whole*int64(time.Second) + nanos
}

// matchesFilters applies --filter: values of the same key are alternatives, and the beginning of a
// container's name or id is enough, for podman only that of its id:
// https://github.com/moby/moby/blob/master/daemon/events/filter.go
// https://github.com/containers/podman/blob/main/libpod/events/filters.go
func (e event) matchesFilters(filters []string, podman bool) bool {
	action := e.Action
	if podman {
		action = podmanStatus(action)
	}
	values := map[string][]string{}
	for _, filter := range filters {
		key, value, _ := strings.Cut(filter, "=")
		values[key] = append(values[key], value)
	}
	for key, wanted := range values {
		have := map[string][]string{"event": {action}, "type": {e.Type}, "container": {e.Actor.ID, e.Actor.Attributes["name"]}}[key]
		matches := func(h, w string) bool { return h == w || key == "container" && !podman && strings.HasPrefix(h, w) }
		if !slices.ContainsFunc(have, func(h string) bool {
			return slices.ContainsFunc(wanted, func(w string) bool { return matches(h, w) })
		}) {
			return false
		}
	}
	return true
}
