package localaws_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/org/atta-deploy-action/localaws"
)

const greeting = `{"schemaVersion":"2.2","parameters":{
  "name":{"type":"String","allowedPattern":"^[a-z]+$"},
  "mark":{"type":"String","default":"!","allowedPattern":"^[!?]?$"}},
  "mainSteps":[{"action":"aws:runShellScript","name":"greet","inputs":{"timeoutSeconds":"60","runCommand":["#!/bin/bash","echo 'hello {{ name }}{{mark}}'"]}}]}`

// scriptKeeper keeps the scripts that it is sent.
type scriptKeeper struct{ scripts []string }

func (k *scriptKeeper) keep(i localaws.Invocation) *localaws.DeliveryFault {
	k.scripts = append(k.scripts, i.Script)
	return nil
}

func expectCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if code == "" && err != nil || code != "" && (!errors.As(err, &api) || api.ErrorCode() != code) {
		t.Errorf("%s: %v, want %q", what, err, code)
	}
}

func TestDocumentVersionsAreSentByDefaultOrByNumber(t *testing.T) {
	keeper := &scriptKeeper{}
	s := start(t, localaws.Options{})
	s.AddInstance(localaws.Instance{ID: "i-1", InjectFault: keeper.keep})
	api := ssm.NewFromConfig(once(s))
	create := func() error {
		_, err := api.CreateDocument(t.Context(), &ssm.CreateDocumentInput{Name: aws.String("greet"), Content: aws.String(greeting), DocumentType: types.DocumentTypeCommand})
		return err
	}
	expectCode(t, "create", create(), "")
	expectCode(t, "create again", create(), "DocumentAlreadyExists")
	update := func(content string) error {
		_, err := api.UpdateDocument(t.Context(), &ssm.UpdateDocumentInput{Name: aws.String("greet"), Content: &content, DocumentVersion: aws.String("$LATEST")})
		return err
	}
	expectCode(t, "update with the same content", update(greeting+"\n"), "DuplicateDocumentContent")
	expectCode(t, "update", update(strings.Replace(greeting, "hello", "goodbye", 1)), "")
	sent := func(version string) string {
		in := &ssm.SendCommandInput{DocumentName: aws.String("greet"), InstanceIds: []string{"i-1"}, Parameters: map[string][]string{"name": {"you"}}}
		if version != "" {
			in.DocumentVersion = &version
		}
		waitForDetails(t, s, send(t, s, in), "Success")
		return keeper.scripts[len(keeper.scripts)-1]
	}
	const hello, goodbye = "#!/bin/bash\necho 'hello you!'\n", "#!/bin/bash\necho 'goodbye you!'\n"
	if got := sent(""); got != hello {
		t.Errorf("an update has changed the default version: %s", got)
	}
	if _, err := api.UpdateDocumentDefaultVersion(t.Context(), &ssm.UpdateDocumentDefaultVersionInput{Name: aws.String("greet"), DocumentVersion: aws.String("2")}); err != nil {
		t.Fatal(err)
	}
	if one, two := sent("1"), sent(""); one != hello || two != goodbye {
		t.Errorf("version 1 is %q, and the default version %q", one, two)
	}
	got, err := api.GetDocument(t.Context(), &ssm.GetDocumentInput{Name: aws.String("greet")})
	if err != nil || *got.DocumentVersion != "2" || !strings.Contains(*got.Content, "goodbye") {
		t.Errorf("the document is %+v, %v", got, err)
	}
	about, err := api.DescribeDocument(t.Context(), &ssm.DescribeDocumentInput{Name: aws.String("greet"), DocumentVersion: aws.String("1")})
	if err != nil || *about.Document.DefaultVersion != "2" || about.Document.HashType != types.DocumentHashTypeSha256 || len(*about.Document.Hash) != 64 {
		t.Errorf("the document is described as %+v, %v", about, err)
	}
	_, err = api.GetDocument(t.Context(), &ssm.GetDocumentInput{Name: aws.String("greet"), DocumentVersion: aws.String("3")})
	expectCode(t, "a version that does not exist", err, "InvalidDocumentVersion")
	_, err = api.GetDocument(t.Context(), &ssm.GetDocumentInput{Name: aws.String("other")})
	expectCode(t, "a document that does not exist", err, "InvalidDocument")
}

func TestCommandParametersMustMatchTheDocument(t *testing.T) {
	s := start(t, localaws.Options{})
	s.AddInstance(localaws.Instance{ID: "i-1"})
	if err := s.CreateDocument("greet", greeting); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		parameters map[string][]string
		code       string
	}{
		{map[string][]string{"name": {"you"}}, ""},
		{map[string][]string{"name": {"you"}, "mark": {""}}, ""},
		{map[string][]string{}, "InvalidParameters"},
		{map[string][]string{"name": {"'; reboot'"}}, "InvalidParameters"},
		{map[string][]string{"name": {"you", "me"}}, "InvalidParameters"},
		{map[string][]string{"name": {"you"}, "commands": {"reboot"}}, "InvalidParameters"},
	} {
		_, err := ssm.NewFromConfig(once(s)).SendCommand(t.Context(), &ssm.SendCommandInput{DocumentName: aws.String("greet"), InstanceIds: []string{"i-1"}, Parameters: test.parameters})
		expectCode(t, "send", err, test.code)
	}
}

func TestDocumentsAreCheckedWhenTheyAreCreated(t *testing.T) {
	s := start(t, localaws.Options{})
	for what, test := range map[string]struct{ name, content, code string }{
		"too large":         {"greet", strings.Replace(greeting, "hello", strings.Repeat("x", 64*1024), 1), "MaxDocumentSizeExceeded"},
		"a name of AWS":     {"AWS-greet", greeting, "ValidationException"},
		"no JSON":           {"greet", "{", "InvalidDocumentContent"},
		"an odd parameter":  {"greet", strings.Replace(greeting, `"mark":`, `"my-mark":`, 1), "InvalidDocumentContent"},
		"an undefined one":  {"greet", strings.Replace(greeting, "{{mark}}", "{{ other }}", 1), "InvalidDocumentContent"},
		"a bad pattern":     {"greet", strings.Replace(greeting, "[a-z]+", "[a-z]{1,2000}", 1), "InvalidDocumentContent"},
		"a default refused": {"greet", strings.Replace(greeting, `"default":"!"`, `"default":"x"`, 1), "InvalidDocumentContent"},
	} {
		_, err := ssm.NewFromConfig(once(s)).CreateDocument(t.Context(), &ssm.CreateDocumentInput{Name: &test.name, Content: &test.content, DocumentType: types.DocumentTypeCommand})
		expectCode(t, what, err, test.code)
	}
}
