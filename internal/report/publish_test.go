package report_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// recorder records what Publish reports.
type recorder struct {
	lines   []string
	outputs map[string]string
	broken  error // error of every write
}

func (p *recorder) write(kind, title, format string, args []any) {
	p.lines = append(p.lines, strings.TrimSuffix(kind+" "+title, " ")+": "+fmt.Sprintf(format, args...))
}
func (p *recorder) Info(format string, args ...any) { p.write("info", "", format, args) }
func (p *recorder) Warning(title, format string, args ...any) {
	p.write("warning", title, format, args)
}
func (p *recorder) Error(title, format string, args ...any) { p.write("error", title, format, args) }
func (p *recorder) Fail(title, format string, args ...any)  { p.write("fail", title, format, args) }
func (p *recorder) Summary(markdown string) error {
	p.write("summary", "", "%s", []any{strings.SplitN(markdown, "\n", 2)[0]})
	return p.broken
}

func (p *recorder) Output(name, value string) error {
	if p.outputs == nil {
		p.outputs = map[string]string{}
	}
	p.outputs[name] = value
	return p.broken
}

func TestPublishLogsOneLineAfterASuccess(t *testing.T) {
	p := &recorder{}
	if err := report.Publish(p, finished(host("i-1", rollout.Deployed, "", "0.1.30-dev", "")), nil, true); err != nil {
		t.Fatal(err)
	}
	want := []string{"summary: ## ✅ atta 0.1.30-dev runs on 1 instance of dev", "info: ✅ atta 0.1.30-dev runs on 1 instance of dev"}
	if diff := cmp.Diff(want, p.lines); diff != "" {
		t.Error(diff)
	}
}

func TestPublishReportsOneErrorForTheRunAndOneForEachHost(t *testing.T) {
	result, err := unhealthy(finished(
		host("i-1", rollout.Deployed, "0.1.29-dev", "0.1.30-dev", "0.1.30-dev runs"),
		host("i-2", rollout.Unknown, "0.1.29-dev", "", "100%d sure"),
		host("i-3", rollout.NotDeployed, "0.1.29-dev", "", "SSM did not deliver the command: Undeliverable"),
	), rollout.OutcomeUnknown)
	p := &recorder{}
	if err := report.Publish(p, result, errors.Join(errors.New("follow command x: refused"), err), false); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"error i-2: unknown: 100%d sure",
		"error i-3: not-deployed: SSM did not deliver the command: Undeliverable",
		"fail atta 0.1.30-dev ended in dev with an unknown result: 1 instance did not report a result, 1 instance did not run the command; 1 of 3 instances runs the release: follow command x: refused\n" +
			"2 of 3 instances are not known to run the release\n" +
			"instance i-2 (ip-10-0-0-2): unknown: 100%d sure\n" +
			"instance i-3 (ip-10-0-0-3): not-deployed: SSM did not deliver the command: Undeliverable\n" +
			"unknown: ask the instance what it runs: /opt/atta/current/deploy/ec2_deploy.sh status. Deploying this version again is safe. If the instance is gone, take it out of instance-ids (the variable EC2_INSTANCE_ID) first.",
	}
	if diff := cmp.Diff(want, p.lines); diff != "" {
		t.Error(diff)
	}
}

func TestInstancesWithTheSameMessageShareAnAnnotation(t *testing.T) {
	var hosts []*rollout.Host
	for n := range 5 {
		hosts = append(hosts, host(fmt.Sprintf("i-%d", n), rollout.RolledBack, "0.1.29-dev", "0.1.29-dev", "exit status 3"))
	}
	result, err := unhealthy(finished(hosts...), rollout.OutcomeRolledBack)
	want := []report.Error{{Title: "i-0, i-1, i-2, and 2 more: rolled-back", Message: "exit status 3"}}
	if diff := cmp.Diff(want, report.HostErrors(err)); diff != "" {
		t.Errorf("of %d instances: %s", len(result.Hosts), diff)
	}
}

func TestOutputsContainTheResultOfTheRun(t *testing.T) {
	result, err := unhealthy(finished(
		host("i-1", rollout.Deployed, "0.1.29-dev", "0.1.30-dev", "0.1.30-dev runs"),
		host("i-2", rollout.RolledBack, "0.1.29-dev", "0.1.29-dev", "x"),
		host("i-3", rollout.Unknown, "", "", "x"),
		host("i-4", rollout.NotDeployed, "0.1.28-dev", "", "x"),
		host("i-5", rollout.NotStarted, "0.1.29-dev", "0.1.29-dev", "x"),
	), rollout.OutcomeUnknown)
	p := &recorder{}
	if err := report.Publish(p, result, err, false); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"status": "unknown", "duration-seconds": "83", "failed-instances": "i-2,i-3,i-4",
		"console-url": "https://us-east-1.console.aws.amazon.com/systems-manager/run-command/01234567-89ab-cdef-0123-456789abcdef?region=us-east-1",
		"results": `[{"instance":"i-1","state":"deployed","version":"0.1.30-dev","digest":"` + newDigest + `","before":"0.1.29-dev"},` +
			`{"instance":"i-2","state":"rolled-back","version":"0.1.29-dev","digest":"` + oldDigest + `","before":"0.1.29-dev"},` +
			`{"instance":"i-3","state":"unknown","version":"","digest":"","before":""},` +
			`{"instance":"i-4","state":"not-deployed","version":"0.1.28-dev","digest":"","before":"0.1.28-dev"},` +
			`{"instance":"i-5","state":"not-started","version":"0.1.29-dev","digest":"` + oldDigest + `","before":"0.1.29-dev"}]`,
	}
	if diff := cmp.Diff(want, p.outputs); diff != "" {
		t.Error(diff)
	}
}

func TestOutputsContainNoHostsWithoutARollout(t *testing.T) {
	result := finished()
	result.Plan.Phases.Rollout = false
	p := &recorder{}
	if err := report.Publish(p, result, nil, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"status": "success", "duration-seconds": "83"}, p.outputs); diff != "" {
		t.Error(diff)
	}
}

func TestOutputsContainNoTextFromAHost(t *testing.T) {
	result, _ := hostile()
	h := result.Hosts[0]
	h.State = rollout.NotDeployed
	named := host("i-1", rollout.RolledBack, "0.1.29-dev", "0.1.29-dev", "SECRET")
	named.Name, named.Log, named.Report.Message = "SECRET", "SECRET", "SECRET"
	result.Hosts = append(result.Hosts, named)
	for _, output := range report.Outputs(result) {
		for _, text := range []string{"SECRET", "script", "user", "::"} {
			if strings.Contains(output.Value, text) {
				t.Errorf("%s contains %s: %s", output.Name, text, output.Value)
			}
		}
	}
}

func TestPublishFailsWhenAnOutputCannotBeWritten(t *testing.T) {
	p := &recorder{broken: errors.New("the disk is full")}
	err := report.Publish(p, finished(host("i-1", rollout.Deployed, "", "0.1.30-dev", "")), nil, true)
	if !errors.Is(err, p.broken) || len(p.lines) != 4 || !strings.HasPrefix(p.lines[1], "warning No summary: ") || !strings.HasPrefix(p.lines[3], "fail ") {
		t.Errorf("%v after %q", err, p.lines)
	}
}

func TestConsoleURLNeedsTheConsoleOfTheRegion(t *testing.T) {
	for console, want := range map[string]string{
		"": "", "cn-north-1.console.amazonaws.cn": "https://cn-north-1.console.amazonaws.cn/systems-manager/run-command/01234567-89ab-cdef-0123-456789abcdef?region=cn-north-1",
	} {
		result := finished()
		result.Plan.Region, result.Console = "cn-north-1", console
		p := &recorder{}
		if err := report.Publish(p, result, nil, false); err != nil || p.outputs["console-url"] != want {
			t.Errorf("%q: %s, %v", console, p.outputs["console-url"], err)
		}
	}
}
