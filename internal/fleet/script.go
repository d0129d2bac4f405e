package fleet

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"al.essio.dev/pkg/shellescape"
)

// Script is what instances are to run: a constant text with parameters in front of
// it. Parameters are data; each becomes one quoted argument of the script.
type Script struct {
	Text          string
	Parameters    []string
	Comment       string        // shown in the SSM console; at most 100 characters
	Timeout       time.Duration // for the script on an instance, whole seconds
	StopOnFailure bool          // when it fails on one instance, SSM starts it on no further one
}

// lines is the script as the document's commands. The agent runs them as one file
// with `sh -c`, so the first line decides that it is bash that reads the rest.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-command-ssm-plugin-reference.html#aws-runShellScript
func (s Script) lines() ([]string, error) {
	for _, p := range s.Parameters {
		if strings.ContainsFunc(p, unicode.IsControl) || !utf8.ValidString(p) {
			return nil, fmt.Errorf("parameter %.80q has characters that a command must not hold", p)
		}
	}
	// SSM replaces {{ name }} anywhere in a command, quoted or not. A brace is always quoted; closing and opening the
	// quotes after it keeps two from being neighbours, and is nothing to bash.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-doc-syntax-data-elements-parameters.html
	quoted := strings.ReplaceAll(shellescape.QuoteCommand(s.Parameters), "{", "{''")
	return []string{"#!/bin/bash", "set -- " + quoted, s.Text}, nil
}
