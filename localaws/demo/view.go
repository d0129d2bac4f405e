package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

const (
	bold = "1"
	red  = "31"
)

// colorize colours text for a terminal; in a file the codes would only be in the way.
func colorize(code, text string) string {
	if info, err := os.Stdout.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func printTitle(text string) { fmt.Printf("\n%s\n\n", colorize(bold, "━━ "+text+" ━━")) }

func printFile(name, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		text = []byte(err.Error())
	}
	fmt.Printf("\n%s\n\n%s\n", colorize(bold, name), strings.TrimSpace(string(text)))
}

// heredoc is one output in the file of outputs.
var heredoc = regexp.MustCompile(`(?m)^([a-z0-9-]+)<<[A-Z0-9]+\n(.*)\n[A-Z0-9]+$`)

func printOutputs(file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		text = []byte(err.Error())
	}
	fmt.Printf("\n%s\n\n", colorize(bold, "Outputs"))
	outputs := heredoc.FindAllStringSubmatch(string(text), -1)
	for i, output := range outputs {
		name, value := output[1], output[2]
		if slices.ContainsFunc(outputs[i+1:], func(later []string) bool { return later[1] == name }) {
			continue // as in GitHub, the last value counts
		}
		if len(value) > 100 {
			value = value[:100] + "…"
		}
		fmt.Printf("%-17s %s\n", name, value)
	}
}

// logView shows a step's log as GitHub's page does: groups, errors and masks are
// taken, and text between stop-commands is left as it is. The whole logs of instances are folded.
type logView struct {
	to      io.Writer
	partial []byte
	token   string // that ends stop-commands
	folded  string // title of the group that is not shown; empty: none
	lines   int    // in that group
}

var command = regexp.MustCompile(`^::([A-Za-z0-9-]+)(?: title=([^:]*))?::(.*)$`)

// Write takes a piece of the log.
func (v *logView) Write(p []byte) (int, error) {
	v.partial = append(v.partial, p...)
	for {
		line, rest, whole := bytes.Cut(v.partial, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		v.partial = rest
		if err := v.writeLine(string(line)); err != nil {
			return 0, err
		}
	}
}

func (v *logView) writeLine(line string) error {
	found := command.FindStringSubmatch(line)
	switch {
	case v.token != "" && line == "::"+v.token+"::":
		v.token = ""
		return nil
	case v.folded != "" && (found == nil || v.token != ""):
		v.lines++
		return nil
	case found == nil || v.token != "":
		_, err := fmt.Fprintf(v.to, "  %s\n", line)
		return err
	}
	unescape := strings.NewReplacer("%0A", "\n         ", "%0D", "", "%3A", ":", "%2C", ",", "%25", "%")
	var err error
	switch name, value := found[1], found[3]; name {
	case "stop-commands":
		v.token = value
	case "group":
		if strings.HasPrefix(value, "Log of ") {
			v.folded, v.lines = value, 0
			return nil
		}
		_, err = fmt.Fprintf(v.to, "▾ %s\n", unescape.Replace(value))
	case "endgroup":
		if v.folded != "" {
			_, err = fmt.Fprintf(v.to, "▸ %s (%d lines)\n", unescape.Replace(v.folded), v.lines)
		}
		v.folded = ""
	case "error", "warning", "notice":
		_, err = fmt.Fprintln(v.to, colorize(red, fmt.Sprintf("  %s: %s\n         %s", name, unescape.Replace(found[2]), unescape.Replace(value))))
	}
	return err
}
