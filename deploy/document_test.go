package deploy_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/localaws"
)

var documentUses = []deploy.DocumentUse{deploy.DocumentForDeploy, deploy.DocumentForRollback, deploy.DocumentForStatus}

// content is a parsed document.
type content struct {
	Parameters map[string]struct {
		Default        *string
		AllowedPattern string
	}
	MainSteps []struct{ Inputs struct{ RunCommand []string } }
}

func parseDocument(t *testing.T, text string) (c content) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// https://docs.aws.amazon.com/general/latest/gr/ssm.html#limits_ssm
func TestDocumentLeavesRoomBelowTheLimitOfSSM(t *testing.T) {
	longest := deploy.Document(strings.Repeat("a", 63), deploy.DocumentForDeploy)
	if size, limit := len(longest), 60*1024; size > limit {
		t.Errorf("the document has %d bytes, want at most %d: SSM accepts 65536", size, limit)
	}
}

func TestDocumentRunsBootstrapAfterItsParameters(t *testing.T) {
	for _, use := range documentUses {
		lines := parseDocument(t, deploy.Document("atta", use)).MainSteps[0].Inputs.RunCommand
		if rest := strings.Join(lines[2:], "\n") + "\n"; lines[0] != "#!/bin/bash" || rest != deploy.Bootstrap || strings.Contains(rest, "{{") {
			t.Errorf("the document for %s has another script", use)
		}
	}
}

// The patterns are the forms that Go and bash have, except for encoded parameters and what limits the document.
func TestDocumentPatternsAreTheForms(t *testing.T) {
	names := map[string]string{}
	for name := range deploy.Forms() {
		camel := regexp.MustCompile(`-[a-z]`).ReplaceAllStringFunc(name, func(s string) string { return strings.ToUpper(s[1:]) })
		names[camel] = name
	}
	own := map[string]string{
		"command": "^(deploy|check|rollback|status|doctor)$", "service": "^(atta)$", "executionTimeout": "^[1-9][0-9]{0,5}$",
		"healthCommand": "^[A-Za-z0-9+/=]*$", "healthUrl": "^[A-Za-z0-9+/=]*$",
	}
	parameters := parseDocument(t, deploy.Document("atta", deploy.DocumentForDeploy)).Parameters
	for name, parameter := range parameters {
		want := "^(" + deploy.Forms()[names[name]] + ")?$"
		if own[name] != "" {
			want = own[name]
		}
		if parameter.AllowedPattern != want {
			t.Errorf("the pattern of %s is %s, want %s", name, parameter.AllowedPattern, want)
		}
		if required := name == "command" || name == "service"; required != (parameter.Default == nil) {
			t.Errorf("%s is required: %t", name, !required)
		}
	}
	wantSame(t, "parameters", append(slices.Collect(maps.Keys(names)), "command", "executionTimeout"), slices.Sorted(maps.Keys(parameters)))
}

// SSM puts the values into the script as text, between single quotes.
func TestDocumentPatternsAllowOnlyCharactersWithoutMeaning(t *testing.T) {
	harmless := regexp.MustCompile(`^[A-Za-z0-9+/=.:@_-]$`)
	for name, parameter := range parseDocument(t, deploy.Document("atta", deploy.DocumentForDeploy)).Parameters {
		tree, err := syntax.Parse(parameter.AllowedPattern, syntax.Perl)
		if err != nil || !strings.HasPrefix(parameter.AllowedPattern, "^") || !strings.HasSuffix(parameter.AllowedPattern, "$") {
			t.Fatalf("%s: %s is not the pattern of a whole value: %v", name, parameter.AllowedPattern, err)
		}
		for _, char := range charactersOf(tree) {
			if !harmless.MatchString(string(char)) {
				t.Errorf("the pattern of %s, %s, allows %q", name, parameter.AllowedPattern, char)
			}
		}
	}
}

// charactersOf returns the characters that an expression may match.
func charactersOf(tree *syntax.Regexp) (found []rune) {
	switch tree.Op {
	case syntax.OpLiteral:
		return tree.Rune
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return []rune{'\''}
	case syntax.OpCharClass:
		for i := 0; i < len(tree.Rune); i += 2 {
			for char := tree.Rune[i]; char <= min(tree.Rune[i+1], 0xff); char++ {
				found = append(found, char)
			}
			if tree.Rune[i+1] > 0xff {
				found = append(found, tree.Rune[i+1])
			}
		}
	}
	for _, part := range tree.Sub {
		found = append(found, charactersOf(part)...)
	}
	return found
}

func TestDocumentIsRecognizedByItsContent(t *testing.T) {
	for _, use := range documentUses {
		text := deploy.Document("atta", use)
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		compact, _ := json.Marshal(value)
		for _, same := range []string{text, string(compact)} {
			if got := deploy.DocumentUseOf(same, "atta"); got != use {
				t.Errorf("the document for %s is taken for one for %q", use, got)
			}
		}
		for what, other := range map[string]string{
			"another script":  strings.Replace(text, "umask 022", "umask 077", 1),
			"a wider pattern": strings.Replace(text, "^(atta)$", "^.*$", 1),
			"another service": deploy.Document("web", use),
			"no document":     "{",
			"nothing":         "",
		} {
			if got := deploy.DocumentUseOf(other, "atta"); got != "" {
				t.Errorf("%s is taken for the document for %s", what, got)
			}
		}
	}
}

func TestDocumentParametersMatchThePatterns(t *testing.T) {
	for _, request := range slices.Concat(requests(), minimalRequests()) {
		values, err := deploy.DocumentParameters(request)
		if err != nil {
			t.Fatal(err)
		}
		parameters := parseDocument(t, deploy.Document("atta", deploy.DocumentForDeploy)).Parameters
		for name, value := range values {
			if !regexp.MustCompile(parameters[name].AllowedPattern).MatchString(value) {
				t.Errorf("%s: %s=%s does not match %q", request.Command(), name, value, parameters[name].AllowedPattern)
			}
		}
	}
	request := requests()[0].(deploy.ReleaseRequest)
	request.Service = "No Name"
	if values, err := deploy.DocumentParameters(request); err == nil {
		t.Errorf("a request that the host would refuse becomes %v", values)
	}
}

// sendDocument sends a request with the document for a use whose script, after its parameters, is only echo.
func sendDocument(t *testing.T, s *localaws.Server, machine *shell, use deploy.DocumentUse, request deploy.Request) (arguments []string, err error) {
	t.Helper()
	machine.scripts, machine.stdout = nil, nil
	var document map[string]any
	if err := json.Unmarshal([]byte(deploy.Document("atta", use)), &document); err != nil {
		t.Fatal(err)
	}
	step := document["mainSteps"].([]any)[0].(map[string]any)["inputs"].(map[string]any)
	step["runCommand"] = append(step["runCommand"].([]any)[:2:2], echo)
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	name := string(use) + "-atta-dev"
	_ = s.CreateDocument(name, string(text)) // an error: it exists
	parameters, err := deploy.DocumentParameters(request)
	if err != nil {
		t.Fatal(err)
	}
	command := fleet.Command{Document: fleet.Document{Name: name, Version: "1"}, Parameters: parameters, Timeout: time.Minute}
	_, err = fleet.New(ssm.NewFromConfig(s.Config()), 30*time.Second).Run(t.Context(), command, []fleet.Instance{{ID: "i-1"}}, nil)
	for argument := range strings.SplitSeq(strings.TrimSuffix(string(machine.stdout), "\x00"), "\x00") {
		if !strings.HasSuffix(argument, "=") {
			arguments = append(arguments, argument)
		}
	}
	return arguments, err
}

func TestDocumentBringsTheSameArgumentsAsTheScript(t *testing.T) {
	t.Parallel()
	s, machine := newShell(t)
	for _, request := range slices.Concat(requests(), minimalRequests()) {
		lines, err := deploy.Script(request)
		if err != nil {
			t.Fatal(err)
		}
		command := fleet.Command{Lines: []string{lines[0], lines[1], echo}, Timeout: time.Minute}
		if _, err := fleet.New(ssm.NewFromConfig(s.Config()), 30*time.Second).Run(t.Context(), command, []fleet.Instance{{ID: "i-1"}}, nil); err != nil {
			t.Fatal(err)
		}
		want := strings.Split(strings.TrimSuffix(string(machine.stdout), "\x00"), "\x00")
		got, err := sendDocument(t, s, machine, deploy.DocumentForDeploy, request)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want[1:])
		slices.Sort(got[1:])
		if !slices.Equal(got, want) {
			t.Errorf("the document brings\n%q, want\n%q", got, want)
		}
	}
}

func TestDocumentBringsAHealthCommandAsData(t *testing.T) {
	t.Parallel()
	s, machine := newShell(t)
	for _, text := range injections {
		request := requests()[0].(deploy.ReleaseRequest)
		request.Policy.HealthCommand = text
		got, err := sendDocument(t, s, machine, deploy.DocumentForDeploy, request)
		if err != nil || !slices.Contains(got, "--health-command="+text) {
			t.Errorf("%q arrived as %q, %v", text, got, err)
		}
		if script := strings.Join(machine.scripts, ""); strings.Contains(script, "{{") || !strings.Contains(script, base64.StdEncoding.EncodeToString([]byte(text))) {
			t.Errorf("%q: the script is\n%s", text, script)
		}
	}
}

// What each document refuses is refused by SSM, whoever sends it.
func TestDocumentLimitsWhatItsSenderCanDo(t *testing.T) {
	t.Parallel()
	s, machine := newShell(t)
	release := requests()[0].(deploy.ReleaseRequest)
	unchecked := release
	unchecked.Policy.HealthCommand, unchecked.Policy.HealthURL = "", ""
	fenced, unfenced := requests()[3].(deploy.StatusRequest), requests()[3].(deploy.StatusRequest)
	doctor := requests()[4].(deploy.DoctorRequest)
	fenced.Generation, unfenced.Generation, doctor.Generation = 7, 0, 0
	other := requests()[2].(deploy.RollbackRequest)
	other.Service = "web"
	for _, test := range []struct {
		what    string
		use     deploy.DocumentUse
		request deploy.Request
		allowed bool
	}{
		{"a deploy", deploy.DocumentForDeploy, release, true},
		{"a deploy of another service", deploy.DocumentForDeploy, other, false},
		{"a rollback that brings a release", deploy.DocumentForRollback, unchecked, true},
		{"a rollback with a health command", deploy.DocumentForRollback, release, false},
		{"a rollback", deploy.DocumentForRollback, requests()[2], true},
		{"a status for a rollback", deploy.DocumentForRollback, fenced, true},
		{"a deploy", deploy.DocumentForStatus, unchecked, false},
		{"a rollback", deploy.DocumentForStatus, requests()[2], false},
		{"a status", deploy.DocumentForStatus, unfenced, true},
		{"a status that refuses the commands of a deploy", deploy.DocumentForStatus, fenced, false},
		{"a doctor", deploy.DocumentForStatus, doctor, true},
	} {
		_, err := sendDocument(t, s, machine, test.use, test.request)
		if test.allowed != (err == nil) || test.allowed != (len(machine.scripts) == 1) || !test.allowed && !strings.Contains(err.Error(), "InvalidParameters") {
			t.Errorf("%s with the document for %s: %v, %d scripts ran", test.what, test.use, err, len(machine.scripts))
		}
	}
}
