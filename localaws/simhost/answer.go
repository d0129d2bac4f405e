package simhost

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/localaws"
)

// call is a command's own parameters.
type call struct {
	line, command string
	parameters    map[string]string
}

var parameter = regexp.MustCompile(`--([a-z0-9-]+)=(\S+)`)

func parseScript(script string) call {
	c := call{parameters: map[string]string{}}
	lines := strings.SplitN(script, "\n", 3)
	if len(lines) < 2 {
		return c
	}
	c.line = strings.TrimPrefix(lines[1], "set -- ")
	c.command, _, _ = strings.Cut(c.line, " ")
	for _, match := range parameter.FindAllStringSubmatch(c.line, -1) {
		c.parameters[match[1]] = match[2]
	}
	return c
}

func (c call) int64Parameter(name string) int64 {
	n, _ := strconv.ParseInt(c.parameters[name], 10, 64)
	return n
}

func (c call) imageDigest() string {
	_, digest, _ := strings.Cut(c.parameters["image"], "@")
	return digest
}

// isOlder compares versions of one environment; no version is not older than any.
func isOlder(a, b string) bool {
	var x, y [3]int
	_, wrongA := fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	_, wrongB := fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	if wrongA != nil || wrongB != nil {
		return false
	}
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

// answerStatus answers a question, and closes the door to commands of earlier generations.
func (h *Host) answerStatus(c call) localaws.Exit {
	seen := h.generation
	if generation := c.int64Parameter("generation"); generation > seen && h.busy == "" {
		h.generation = generation
	}
	about := ""
	if asked := c.parameters["about"]; asked != "" {
		about = "none"
		if h.busy != "" {
			about = "under-way"
		}
		for _, e := range h.history {
			if e.deployment == asked {
				about = fmt.Sprintf("%s:%d", e.outcome, e.code)
			}
		}
	}
	releases := []string{}
	for i := len(h.verified) - 1; i >= 0; i-- {
		releases = append(releases, h.verified[i].version)
	}
	outcome := "status"
	if h.installed.version == "" {
		outcome = "absent"
	}
	more := map[string]any{"about": about, "previous": h.previous, "releases": releases, "time": time.Now().Unix(), "generation": seen, "drift": h.drift}
	if h.installed.verified {
		more["since"] = h.installed.since.Unix()
	}
	return h.resultLine(c, outcome, 0, "so it is", more)
}

// answerCommand is a result line; one that is remembered is given again to a copy of the command.
func (h *Host) answerCommand(c call, outcome string, code int, message string, remember bool) localaws.Exit {
	exit := h.resultLine(c, outcome, code, message, nil)
	if remember {
		h.history = append(h.history, pastCommand{deployment: c.parameters["deployment"], answer: exit, outcome: outcome, code: code})
	}
	return exit
}

func (h *Host) resultLine(c call, outcome string, code int, message string, more map[string]any) localaws.Exit {
	unit := "active"
	if h.unitFailed {
		unit = "failed"
	}
	result := map[string]any{
		"v": 1, "deployment": c.parameters["deployment"], "service": c.parameters["service"], "outcome": outcome, "code": code, "phase": c.command,
		"wanted": c.parameters["version"], "version": h.installed.version, "digest": h.installed.digest, "verified": h.installed.verified,
		"generation": h.generation, "unit": unit, "message": message,
	}
	for name, value := range more {
		result[name] = value
	}
	text, _ := json.Marshal(result) // plain values: it cannot fail
	exit := localaws.Exit{Code: code, Stdout: []byte("ATTA_RESULT " + string(text) + "\n")}
	if code != 0 {
		exit.Stderr = []byte("a line of its log\n")
	}
	return exit
}
