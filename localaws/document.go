package localaws

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// runShellScript is the document of AWS that runs any script.
const runShellScript = "AWS-RunShellScript"

// maxDocumentSize is the limit of a document's content in bytes
// (https://docs.aws.amazon.com/general/latest/gr/ssm.html#limits_ssm).
const maxDocumentSize = 64 * 1024

// documents are the SSM documents of the account.
type documents struct {
	mu   sync.Mutex
	list map[string]*document
}

type document struct {
	versions       []documentVersion
	defaultVersion int
}

// documentVersion is the content of one version, of schema 2.2 with one step aws:runShellScript
// (https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-schemas-features.html).
type documentVersion struct {
	number  int
	content string

	SchemaVersion string
	Description   string
	Parameters    map[string]documentParameter
	MainSteps     []struct {
		Action, Name string
		Inputs       struct {
			TimeoutSeconds string
			RunCommand     []string
		}
	}
}

type documentParameter struct {
	Type, Description string
	Default           *string
	AllowedPattern    string
	pattern           *regexp.Regexp
}

var (
	documentName = regexp.MustCompile(`^[a-zA-Z0-9_\-.]{3,128}$`)
	reservedName = regexp.MustCompile(`^(?i:aws|amazon|amzn)`)
	// https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/framework/docparser/parameters/parameters.go
	parameterName      = regexp.MustCompile(`^[a-zA-Z0-9]+$`)
	documentReferences = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)
)

// parseDocument parses and checks a document's content.
func parseDocument(content string) (v documentVersion, err error) {
	if len(content) > maxDocumentSize {
		return v, &Error{Code: "MaxDocumentSizeExceeded", Message: fmt.Sprintf("The document exceeds the maximum size of %d bytes", maxDocumentSize)}
	}
	invalid := func(format string, args ...any) (documentVersion, error) {
		return v, &Error{Code: "InvalidDocumentContent", Message: fmt.Sprintf(format, args...)}
	}
	decoder := json.NewDecoder(strings.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&v); err != nil {
		return invalid("JSON not well-formed: %v", err)
	}
	if v.content = content; v.SchemaVersion != "2.2" || len(v.MainSteps) != 1 || v.MainSteps[0].Action != "aws:runShellScript" || len(v.MainSteps[0].Inputs.RunCommand) == 0 {
		return invalid("only schema version 2.2 with one step aws:runShellScript is emulated")
	}
	for name, p := range v.Parameters {
		if p.pattern, err = regexp.Compile(p.AllowedPattern); err != nil || p.Type != "String" || !parameterName.MatchString(name) {
			return invalid("Parameter %s is not valid: %v", name, err)
		}
		if p.Default != nil && !p.pattern.MatchString(*p.Default) {
			return invalid("The default of parameter %s does not match its allowed pattern", name)
		}
		v.Parameters[name] = p
	}
	step := v.MainSteps[0].Inputs
	for _, match := range documentReferences.FindAllStringSubmatch(strings.Join(append(step.RunCommand, step.TimeoutSeconds), "\n"), -1) {
		if _, ok := v.Parameters[match[1]]; !ok {
			return invalid("Parameter %q is used and not defined", match[1])
		}
	}
	return v, nil
}

// checkParameters checks the parameters of a command for the document. The pattern may match a part of the value, as in
// https://github.com/aws/amazon-ssm-agent/tree/mainline/agent/framework/docparser/paramvalidator
func (v documentVersion) checkParameters(values map[string][]string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		p, ok := v.Parameters[name]
		if !ok || len(values[name]) != 1 {
			return &Error{Code: "InvalidParameters", Message: "Parameter is not valid for the document: " + name}
		}
		if !p.pattern.MatchString(values[name][0]) {
			return &Error{Code: "InvalidParameters", Message: fmt.Sprintf("Parameter %q does not match the allowed pattern %s", name, p.AllowedPattern)}
		}
	}
	for name, p := range v.Parameters {
		if _, ok := values[name]; !ok && p.Default == nil {
			return &Error{Code: "InvalidParameters", Message: fmt.Sprintf("Parameter %q requires a value", name)}
		}
	}
	return nil
}

// resolve replaces the references to parameters in a text, as the agent does, as text.
func (v documentVersion) resolve(text string, values map[string][]string) string {
	return documentReferences.ReplaceAllStringFunc(text, func(reference string) string {
		name := documentReferences.FindStringSubmatch(reference)[1]
		if given := values[name]; len(given) == 1 {
			return given[0]
		}
		return *v.Parameters[name].Default
	})
}

// describe returns the fields that DescribeDocument, CreateDocument and UpdateDocument have in common.
func (d *document) describe(name string, v documentVersion) object {
	return object{
		"Name": name, "DocumentVersion": strconv.Itoa(v.number), "DefaultVersion": strconv.Itoa(d.defaultVersion), "LatestVersion": strconv.Itoa(len(d.versions)),
		"Status": "Active", "DocumentType": "Command", "DocumentFormat": "JSON", "SchemaVersion": v.SchemaVersion, "Description": v.Description,
		"Hash": fmt.Sprintf("%x", sha256.Sum256([]byte(v.content))), "HashType": "Sha256", "PlatformTypes": []string{"Linux", "MacOS"},
	}
}

// findVersion returns a version of a document, by default its default version.
func (d *documents) findVersion(name, version string) (*document, documentVersion, error) {
	found := d.list[name]
	if found == nil {
		return nil, documentVersion{}, &Error{Code: "InvalidDocument", Message: fmt.Sprintf("Document with name %s does not exist.", name)}
	}
	number, _ := strconv.Atoi(version)
	switch version {
	case "", "$DEFAULT":
		number = found.defaultVersion
	case "$LATEST":
		number = len(found.versions)
	}
	if number < 1 || number > len(found.versions) {
		return nil, documentVersion{}, &Error{Code: "InvalidDocumentVersion", Message: "The document version isn't valid or doesn't exist: " + version}
	}
	return found, found.versions[number-1], nil
}

// setDocument sets the document of a command.
func (d *documents) setDocument(in *sendInput) error {
	if in.DocumentName == runShellScript {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, v, err := d.findVersion(in.DocumentName, in.DocumentVersion)
	in.document = &v
	return err
}

// isSameJSON reports whether two contents differ in white space at most.
func isSameJSON(a, b string) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, []byte(a)) == nil && json.Compact(&y, []byte(b)) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}
