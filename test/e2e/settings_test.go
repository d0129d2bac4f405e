package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestSettingsFromParameterStoreAreThoseOfTheRelease(t *testing.T) {
	s := playWithScripts(t)
	const canary, changed = "canary-of-the-parameters-1", "canary-of-the-parameters-2"
	setGreeting := func(value string) {
		s.aws.PutParameter(localaws.Parameter{Name: "/atta/dev/GREETING", Value: value, Type: "SecureString"})
	}
	settings := []string{"settings-from=/atta/dev/", "allow-env-file=false", "mode=service", "min-healthy-time=1s"}
	deploy := func(version string) outcome {
		s.build(version, sample.WithCmd("-serve"), sample.WithEnv("PORT", "0"))
		return s.run(append(settings, "version="+version)...)
	}
	outcomes := map[string]outcome{}
	expect := func(name string, out outcome, greeting string) {
		t.Helper()
		out.wants("success")
		if got := s.greeting(); got != greeting {
			t.Errorf("after %s, the service wrote %q, want %q", name, got, greeting)
		}
		outcomes[name] = out
	}
	setGreeting(canary)
	expect("the first deploy", deploy("0.1.0-dev"), canary+" from 0.1.0-dev")
	setGreeting(changed)
	expect("the second deploy", deploy("0.1.1-dev"), changed+" from 0.1.1-dev")
	expect("the rollback", s.run(append(settings, "operation=rollback", "version=", "image=", "image-tags=none")...), canary+" from 0.1.0-dev")
	expect("the same version again", deploy("0.1.0-dev"), changed+" from 0.1.0-dev")

	s.aws.AddFault(localaws.Fault{Operation: "ssm:GetParametersByPath", Error: &localaws.Error{Code: "AccessDeniedException", Message: "User: x is not authorized"}})
	refused := deploy("0.1.2-dev")
	refused.wants("failed")
	refused.says("the parameters in /atta/dev cannot be read", "ssm:GetParametersByPath", "kms:Decrypt")
	s.wantRunning("0.1.0-dev")
	outcomes["the refused deploy"] = refused
	for place, text := range s.places(outcomes) {
		if strings.Contains(text, "canary-of-the-parameters") {
			t.Errorf("%s holds a setting", place)
		}
	}
	for _, call := range s.calls(0, "ssm:GetParametersByPath") {
		if call.Resource != "/atta/dev" {
			t.Errorf("the instance has read %s", call.Resource)
		}
	}
}

func (s *stage) wantRunning(version string) {
	s.t.Helper()
	if s.runs() != version {
		s.t.Errorf("the instance runs %q, want %s", s.runs(), version)
	}
}

// places returns what GitHub, S3, SSM and the instance's log have of these runs.
func (s *stage) places(outcomes map[string]outcome) map[string]string {
	s.t.Helper()
	places := map[string]string{}
	for name, out := range outcomes {
		places["the log of "+name], places["the summary of "+name], places["the outputs of "+name] = out.log, out.summary, fmt.Sprint(out.outputs)
	}
	for _, call := range s.aws.Calls() {
		if call.Operation == "s3:PutObject" {
			name, key, _ := strings.Cut(call.Resource, "/")
			object, _ := s.aws.Object(name, key)
			places["the object "+call.Resource] = string(object) // a bundle is not compressed
		}
	}
	history := ssm.NewListCommandInvocationsPaginator(ssm.NewFromConfig(s.aws.Config()), &ssm.ListCommandInvocationsInput{Details: true})
	for history.HasMorePages() {
		page, err := history.NextPage(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, invocation := range page.CommandInvocations {
			places["the command "+*invocation.CommandId] = fmt.Sprint(aws.ToString(invocation.Comment), aws.ToString(invocation.CommandPlugins[0].Output))
		}
	}
	log, err := os.ReadFile(s.host.Path("var/log/atta-deploy.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	places["the instance's log"], places["the scripts"] = string(log), strings.Join(s.scripts, "\n")
	if len(places) < 20 {
		s.t.Fatalf("only %d places were looked at", len(places))
	}
	return places
}
