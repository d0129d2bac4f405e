package localaws

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
)

// documentInput has the fields of the operations on documents, such as
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html.
type documentInput struct {
	Name, Content, DocumentType, DocumentFormat, DocumentVersion string
}

// operations returns the operations on documents.
func (d *documents) operations() map[string]operation {
	return map[string]operation{
		"CreateDocument":               decodeInput(d.createDocument),
		"UpdateDocument":               decodeInput(d.updateDocument),
		"UpdateDocumentDefaultVersion": decodeInput(d.updateDefaultVersion),
		"DescribeDocument":             decodeInput(d.describeDocument),
		"GetDocument":                  decodeInput(d.getDocument),
	}
}

// CreateDocument creates a document of type Command, or gives an existing one another content.
func (s *Server) CreateDocument(name, content string) error {
	d := &s.ssm.documents
	_, err := d.createDocument(documentInput{Name: name, Content: content, DocumentType: "Command"})
	if problem := (*Error)(nil); !errors.As(err, &problem) || problem.Code != "DocumentAlreadyExists" {
		return err
	}
	updated, err := d.updateDocument(documentInput{Name: name, Content: content, DocumentVersion: "$LATEST"})
	if err != nil {
		return err
	}
	version := updated.(object)["DocumentDescription"].(object)["DocumentVersion"].(string)
	_, err = d.updateDefaultVersion(documentInput{Name: name, DocumentVersion: version})
	return err
}

func (d *documents) createDocument(in documentInput) (any, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !documentName.MatchString(in.Name):
		return nil, invalidMember("name", "Member must satisfy regular expression pattern: "+documentName.String())
	case reservedName.MatchString(in.Name):
		return nil, &Error{Code: "ValidationException", Message: "The names of documents must not begin with aws, amazon or amzn"}
	case d.list[in.Name] != nil:
		return nil, &Error{Code: "DocumentAlreadyExists", Message: "Document with same name " + in.Name + " already exists"}
	case in.DocumentType != "Command" || cmp.Or(in.DocumentFormat, "JSON") != "JSON":
		return nil, &Error{Code: "ValidationException", Message: "only documents of type Command in JSON are emulated"}
	}
	v, err := parseDocument(in.Content)
	if err != nil {
		return nil, err
	}
	v.number = 1
	created := &document{versions: []documentVersion{v}, defaultVersion: 1}
	d.list[in.Name] = created
	return object{"DocumentDescription": created.describe(in.Name, v)}, nil
}

// updateDocument adds a version, which does not become the default version.
func (d *documents) updateDocument(in documentInput) (any, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, latest, err := d.findVersion(in.Name, in.DocumentVersion)
	if err != nil {
		return nil, err
	}
	if latest.number != len(found.versions) {
		return nil, &Error{Code: "InvalidDocumentVersion", Message: "Only the latest version of a document can be updated"}
	}
	if isSameJSON(latest.content, in.Content) {
		return nil, &Error{Code: "DuplicateDocumentContent", Message: "The content is that of the latest version"}
	}
	v, err := parseDocument(in.Content)
	if err != nil {
		return nil, err
	}
	v.number = len(found.versions) + 1
	found.versions = append(found.versions, v)
	return object{"DocumentDescription": found.describe(in.Name, v)}, nil
}

func (d *documents) updateDefaultVersion(in documentInput) (any, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if strings.HasPrefix(in.DocumentVersion, "$") {
		return nil, invalidMember("documentVersion", "Member must satisfy regular expression pattern: (^[1-9][0-9]*$)")
	}
	found, v, err := d.findVersion(in.Name, in.DocumentVersion)
	if err != nil {
		return nil, err
	}
	found.defaultVersion = v.number
	return object{"Description": object{"Name": in.Name, "DefaultVersion": strconv.Itoa(v.number)}}, nil
}

func (d *documents) describeDocument(in documentInput) (any, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, v, err := d.findVersion(in.Name, in.DocumentVersion)
	if err != nil {
		return nil, err
	}
	return object{"Document": found.describe(in.Name, v)}, nil
}

func (d *documents) getDocument(in documentInput) (any, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, v, err := d.findVersion(in.Name, in.DocumentVersion)
	if err != nil {
		return nil, err
	}
	return object{
		"Name": in.Name, "DocumentVersion": strconv.Itoa(v.number), "Content": v.content,
		"DocumentType": "Command", "DocumentFormat": "JSON", "Status": "Active",
	}, nil
}
