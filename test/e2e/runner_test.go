package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// workflowCommand is what the runner obeys: ::name:: at the start of a line, and
// the older ##[name] anywhere.
var workflowCommand = regexp.MustCompile(`^\s*::([^: ]+)([^:]*)::(.*)$|##\[([^\] ]+)[^\]]*\](.*)$`)

// command is one that the runner has obeyed.
type command struct{ name, data string }

// commandsIn reads a log as the runner does.
func commandsIn(log string) (obeyed []command) {
	unescape := strings.NewReplacer("%0A", "\n", "%0D", "\r", "%25", "%")
	stopped := ""
	for line := range strings.FieldsFuncSeq(log, func(r rune) bool { return r == '\n' || r == '\r' }) {
		match := workflowCommand.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		c := command{match[1] + match[4], unescape.Replace(match[3] + match[5])}
		switch {
		case stopped != "" && c.name == stopped:
			stopped = ""
		case stopped != "":
		case c.name == "stop-commands":
			stopped = c.data
		default:
			obeyed = append(obeyed, c)
		}
	}
	if stopped != "" {
		obeyed = append(obeyed, command{"still stopped", stopped})
	}
	return obeyed
}

// errorsIn are the messages of the error annotations.
func errorsIn(log string) (messages []string) {
	for _, c := range commandsIn(log) {
		if c.name == "error" {
			messages = append(messages, c.data)
		}
	}
	return messages
}

// readOutputs reads GITHUB_OUTPUT as the runner does.
func readOutputs(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	outputs := map[string]string{}
	for lines := strings.Split(string(text), "\n"); len(lines) > 1; {
		name, delimiter, ok := strings.Cut(lines[0], "<<")
		end := slices.Index(lines[1:], delimiter)
		if !ok || end < 0 {
			t.Fatalf("the runner cannot read %q in\n%s", lines[0], text)
		}
		outputs[name] = strings.Join(lines[1:1+end], "\n")
		lines = lines[2+end:]
	}
	return outputs
}
