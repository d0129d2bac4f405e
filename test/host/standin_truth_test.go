//go:build !e2e

package host_test

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
)

// engineEvents reads what the stand-in for the engine has written down. A name counts as the
// image that it meant when the container was made.
func (m machine) engineEvents() (events []engineEvent) {
	m.t.Helper()
	engine := m.instance.(rebooting).Path("var/lib/docker")
	references := map[string]string{}
	text, err := os.ReadFile(engine + "/repositories.json")
	if err == nil {
		err = json.Unmarshal(text, &references)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	file, err := os.Open(engine + "/events.jsonl")
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		m.t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var event struct {
			Action, ImageID, Unit string
			Actor                 struct{ Attributes map[string]string }
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			m.t.Fatal(err)
		}
		if event.Unit != m.service+".service" || event.Actor.Attributes["name"] != m.service {
			continue
		}
		entry := engineEvent{ended: event.Action == "die", exit: event.Actor.Attributes["exitCode"]}
		for reference, id := range references {
			if id == event.ImageID && strings.Contains(reference, "@") {
				entry.image = reference
			}
		}
		events = append(events, entry)
	}
	return events
}
