package deploy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// DocumentUse is the operation that an SSM document is for. A role that may send only one document can have hosts carry
// out only that document's commands.
type DocumentUse string

// The uses of a document.
const (
	DocumentForDeploy   DocumentUse = "deploy"
	DocumentForRollback DocumentUse = "rollback"
	DocumentForStatus   DocumentUse = "status"
)

// documentLimits is what differs between the documents of one service, as parts of patterns.
type documentLimits struct {
	commands      string // alternatives
	healthCommand string // how many characters: any number, or none
	generation    string // how many: one or none, or none
}

// limitsByUse are the limits of each use. A rollback may have to bring a release to a host that lacks it. It may not
// name a health command, which a host runs as root. A status may not name a generation, with which a host refuses the
// commands of earlier ones.
func limitsByUse() map[DocumentUse]documentLimits {
	return map[DocumentUse]documentLimits{
		DocumentForDeploy:   {"deploy|check|rollback|status|doctor", "*", "?"},
		DocumentForRollback: {"deploy|rollback|status|doctor", "{0}", "?"},
		DocumentForStatus:   {"status|doctor", "{0}", "{0}"},
	}
}

// Document returns the SSM document with Bootstrap for a service and a use. SSM and its agent refuse a command whose
// parameters do not match the document's patterns.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-doc-syntax.html
func Document(service string, use DocumentUse) string {
	limits := limitsByUse()[use]
	return strings.NewReplacer("${service}", service, "${commands}", limits.commands, "${health_command}", limits.healthCommand,
		"${generation}", limits.generation).Replace(DocumentTemplate())
}

// DocumentUseOf returns the use of a document's content; empty: it is not a document of this version for the service.
// White space and the order of fields do not count.
func DocumentUseOf(content, service string) DocumentUse {
	found := parseJSON(content)
	for use := range limitsByUse() {
		if found != nil && reflect.DeepEqual(found, parseJSON(Document(service, use))) {
			return use
		}
	}
	return ""
}

func parseJSON(text string) (value any) {
	if json.Unmarshal([]byte(text), &value) != nil {
		return nil
	}
	return value
}

// Includes reports whether a document for this use has the commands of another one.
func (u DocumentUse) Includes(other DocumentUse) bool {
	switch u {
	case DocumentForDeploy:
		return true
	case DocumentForRollback:
		return other != DocumentForDeploy
	}
	return u == other
}

// DocumentParameters returns a request as parameters of Document. One that the host would refuse is an error.
func DocumentParameters(r Request) (map[string]string, error) {
	values := map[string]string{"command": r.Command()}
	if err := r.parameters().checkForms(); err != nil {
		return nil, err
	}
	for _, parameter := range r.parameters() {
		name, value, _ := strings.Cut(strings.TrimPrefix(parameter, "--"), "=")
		if encodedLength(name) != "" {
			value = base64.StdEncoding.EncodeToString([]byte(value))
		}
		values[documentName(name)] = value
	}
	return values, nil
}

// encodedLength returns how many characters a parameter may have that is encoded because its form allows characters with a
// meaning in a script; empty: the parameter is sent as it is. The host limits the text.
func encodedLength(name string) string {
	switch name {
	case "health-command":
		return "${health_command}"
	case "health-url":
		return "*"
	}
	return ""
}

// documentName returns a parameter's name in the document: not-after becomes notAfter, since the agent ignores names with
// anything but letters and digits.
// https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/framework/docparser/parameters/parameters.go
func documentName(name string) string {
	first, rest, _ := strings.Cut(name, "-")
	for word := range strings.SplitSeq(rest, "-") {
		if word != "" {
			first += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return first
}

type (
	document struct {
		SchemaVersion string                       `json:"schemaVersion"`
		Description   string                       `json:"description"`
		Parameters    map[string]documentParameter `json:"parameters"`
		MainSteps     []documentStep               `json:"mainSteps"`
	}
	documentParameter struct {
		Type           string  `json:"type"`
		Default        *string `json:"default,omitempty"` // without one, the parameter is required
		AllowedPattern string  `json:"allowedPattern"`
	}
	documentStep struct {
		Action string         `json:"action"`
		Name   string         `json:"name"`
		Inputs documentInputs `json:"inputs"`
	}
	documentInputs struct {
		TimeoutSeconds string   `json:"timeoutSeconds"`
		RunCommand     []string `json:"runCommand"`
	}
)

// DocumentTemplate returns Document with the placeholders ${service}, ${commands}, ${health_command} and ${generation}.
var DocumentTemplate = sync.OnceValue(func() string {
	empty, hour := "", "3600"
	parameters := map[string]documentParameter{
		"command":          {Type: "String", AllowedPattern: "^(${commands})$"},
		"executionTimeout": {Type: "String", Default: &hour, AllowedPattern: "^[1-9][0-9]{0,5}$"},
	}
	line := "set -- {{ command }}"
	for _, name := range slices.Sorted(maps.Keys(forms())) {
		parameter := documentParameter{Type: "String", Default: &empty, AllowedPattern: "^(" + forms()[name] + ")?$"}
		reference := "'--" + name + "={{ " + documentName(name) + " }}'"
		if length := encodedLength(name); length != "" {
			parameter.AllowedPattern = "^[A-Za-z0-9+/=]" + length + "$"
			reference = `"--` + name + "=$(printf %s '{{ " + documentName(name) + ` }}' | base64 -d)"`
		}
		switch name {
		case "service":
			parameter.Default, parameter.AllowedPattern = nil, "^(${service})$"
		case "generation":
			parameter.AllowedPattern = "^(" + forms()[name] + ")${generation}$"
		}
		parameters[documentName(name)] = parameter
		line += " " + reference
	}
	lines := append([]string{"#!/bin/bash", line}, strings.Split(strings.TrimSuffix(Bootstrap, "\n"), "\n")...)
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	_ = encoder.Encode(document{
		SchemaVersion: "2.2",
		Description:   "atta-deploy-action: operation ${commands} of ${service}",
		Parameters:    parameters,
		MainSteps: []documentStep{{
			Action: "aws:runShellScript", Name: "run",
			Inputs: documentInputs{TimeoutSeconds: "{{ executionTimeout }}", RunCommand: lines},
		}},
	})
	return text.String()
})
