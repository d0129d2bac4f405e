package localaws_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"
	"github.com/org/atta-deploy-action/localaws"
)

func shell(commands string, ids ...string) *ssm.SendCommandInput {
	return &ssm.SendCommandInput{
		DocumentName: aws.String("AWS-RunShellScript"), InstanceIds: ids, Parameters: map[string][]string{"commands": {commands}},
	}
}

func send(t *testing.T, s *localaws.Server, in *ssm.SendCommandInput) string {
	t.Helper()
	out, err := ssm.NewFromConfig(once(s)).SendCommand(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.Command.CommandId
}

func invocations(t *testing.T, s *localaws.Server, id string) []types.CommandInvocation {
	t.Helper()
	var all []types.CommandInvocation
	pages := ssm.NewListCommandInvocationsPaginator(ssm.NewFromConfig(once(s)), &ssm.ListCommandInvocationsInput{CommandId: &id, Details: true})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page.CommandInvocations) > 50 {
			t.Fatalf("page of %d", len(page.CommandInvocations))
		}
		all = append(all, page.CommandInvocations...)
	}
	return all
}

func getObject(t *testing.T, s *localaws.Server, id, instance string) *ssm.GetCommandInvocationOutput {
	t.Helper()
	out, err := ssm.NewFromConfig(once(s)).GetCommandInvocation(t.Context(), &ssm.GetCommandInvocationInput{CommandId: &id, InstanceId: &instance})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func parent(t *testing.T, s *localaws.Server, id string) types.Command {
	t.Helper()
	out, err := ssm.NewFromConfig(once(s)).ListCommands(t.Context(), &ssm.ListCommandsInput{CommandId: &id})
	if err != nil || len(out.Commands) != 1 {
		t.Fatalf("commands are %+v, %v", out, err)
	}
	return out.Commands[0]
}

// settle polls until every invocation has one of the given details.
func settle(t *testing.T, s *localaws.Server, id string, details ...string) []types.CommandInvocation {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		all := invocations(t, s, id)
		waiting := slices.ContainsFunc(all, func(i types.CommandInvocation) bool { return !slices.Contains(details, *i.StatusDetails) })
		if len(all) > 0 && !waiting {
			return all
		}
		if time.Now().After(deadline) {
			t.Fatalf("invocations are %+v, want %v", all, details)
		}
	}
}

func TestACommandIsInvisibleAtFirst(t *testing.T) {
	s := start(t, localaws.Options{InvocationDelay: 300 * time.Millisecond})
	s.AddInstance(localaws.Instance{ID: "i-1", Name: "ip-10-0-0-1"})
	id := send(t, s, shell("true", "i-1"))
	if got := parent(t, s, id); got.TargetCount != 1 {
		t.Errorf("target count is %d", got.TargetCount)
	}
	if got := invocations(t, s, id); len(got) != 0 {
		t.Errorf("invocations are %+v", got)
	}
	_, err := ssm.NewFromConfig(once(s)).GetCommandInvocation(t.Context(), &ssm.GetCommandInvocationInput{CommandId: &id, InstanceId: aws.String("i-1")})
	wantCode(t, err, "InvocationDoesNotExist")
	if got := settle(t, s, id, "Success"); *got[0].InstanceName != "ip-10-0-0-1" {
		t.Errorf("invocation is %+v", got[0])
	}
}

func TestTheMachineGetsOneScriptAndTheAgentsEnvironment(t *testing.T) {
	s := start(t, localaws.Options{})
	type run struct {
		script string
		env    []string
	}
	runs := make(chan run, 1)
	s.AddInstance(localaws.Instance{ID: "i-1", Machine: machine(func(_ context.Context, script string, env []string) localaws.Exit {
		runs <- run{script, env}
		return localaws.Exit{Stdout: []byte("out"), Stderr: []byte("err\n"), Code: 7}
	})})
	in := shell("", "i-1")
	in.Parameters = map[string][]string{
		"commands":         {"#!/bin/bash", "echo {{ executionTimeout }}", "echo {{ unknown }}"},
		"workingDirectory": {"/opt/it's"}, "executionTimeout": {"90"},
	}
	id := send(t, s, in)
	settle(t, s, id, "Failed")
	want := run{
		"#!/bin/bash\ncd -- '/opt/it'\\''s' || exit\necho 90\necho {{ unknown }}\n",
		[]string{"AWS_SSM_REGION_NAME=us-east-1", "AWS_SSM_INSTANCE_ID=i-1", "SSM_COMMAND_ID=" + id},
	}
	if diff := cmp.Diff(want, <-runs, cmp.AllowUnexported(run{})); diff != "" {
		t.Error(diff)
	}
	got := getObject(t, s, id, "i-1")
	if got.ResponseCode != 7 || *got.StandardOutputContent != "out" || *got.StandardErrorContent != "err\nfailed to run commands: exit status 7" {
		t.Errorf("invocation is %+v", got)
	}
}

func TestOutputIsCutAsTheAPICutsIt(t *testing.T) {
	s := start(t, localaws.Options{})
	const title, stdoutMark, stderrMark = "\n----------ERROR-------\n", "\n---Output truncated---", "\n---Error truncated----"
	tests := map[string]struct {
		stdout, stderr int
		listed         string
	}{
		"short":       {10, 5, strings.Repeat("o", 10) + title + "eeeee"},
		"long stdout": {24001, 0, strings.Repeat("o", 2500-len(stdoutMark)) + stdoutMark},
		"long stderr": {10, 8001, strings.Repeat("o", 10) + title + strings.Repeat("e", 2500-10-len(title+stderrMark)) + stderrMark},
		"both long":   {24001, 8001, strings.Repeat("o", 1215) + stdoutMark + title + strings.Repeat("e", 1215) + stderrMark},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s.AddInstance(localaws.Instance{ID: "i-1", Machine: machine(func(context.Context, string, []string) localaws.Exit {
				return localaws.Exit{Stdout: []byte(strings.Repeat("o", test.stdout)), Stderr: []byte(strings.Repeat("e", test.stderr))}
			})})
			id := send(t, s, shell("true", "i-1"))
			listed := settle(t, s, id, "Success")
			if diff := cmp.Diff(test.listed, *listed[0].CommandPlugins[0].Output); diff != "" {
				t.Error(diff)
			}
			got := getObject(t, s, id, "i-1")
			if o, e := len(*got.StandardOutputContent), len(*got.StandardErrorContent); o != min(test.stdout, 24000) || e != min(test.stderr, 8000) {
				t.Errorf("lengths are %d and %d", o, e)
			}
		})
	}
}

func TestExitCodesMeanWhatTheAgentMakesOfThem(t *testing.T) {
	s := start(t, localaws.Options{})
	tests := []struct {
		code    int
		details string
	}{{0, "Success"}, {1, "Failed"}, {137, "ExecutionTimedOut"}, {168, "Success"}, {169, "Success"}, {255, "Failed"}}
	for _, test := range tests {
		instance := fmt.Sprintf("i-%d", test.code)
		s.AddInstance(localaws.Instance{ID: instance, Machine: machine(func(context.Context, string, []string) localaws.Exit {
			return localaws.Exit{Code: test.code}
		})})
		id := send(t, s, shell("true", instance))
		settle(t, s, id, test.details)
		if got := getObject(t, s, id, instance); got.ResponseCode != int32(test.code) {
			t.Errorf("response code of %d is %d", test.code, got.ResponseCode)
		}
	}
}

func TestExit194RebootsAndRunsTheScriptAgain(t *testing.T) {
	s := start(t, localaws.Options{})
	var runs atomic.Int32
	s.AddInstance(localaws.Instance{ID: "i-1", Machine: machine(func(context.Context, string, []string) localaws.Exit {
		if runs.Add(1) == 1 {
			return localaws.Exit{Code: 194}
		}
		return localaws.Exit{}
	})})
	s.AddInstance(localaws.Instance{ID: "i-2", Machine: machine(func(context.Context, string, []string) localaws.Exit {
		return localaws.Exit{Code: 194}
	})})
	settle(t, s, send(t, s, shell("true", "i-1")), "Success")
	if runs.Load() != 2 || s.Reboots("i-1") != 1 {
		t.Errorf("%d runs, %d reboots", runs.Load(), s.Reboots("i-1"))
	}
	settle(t, s, send(t, s, shell("true", "i-2")), "Failed")
	if s.Reboots("i-2") != 5 {
		t.Errorf("%d reboots of a machine that never stops", s.Reboots("i-2"))
	}
}

func TestAParameterStoreReferenceFailsSilently(t *testing.T) {
	s := start(t, localaws.Options{})
	s.AddInstance(localaws.Instance{ID: "i-1", Machine: machine(func(context.Context, string, []string) localaws.Exit {
		t.Error("the script ran")
		return localaws.Exit{}
	})})
	id := send(t, s, shell("# {{ssm:NAME}}", "i-1"))
	settle(t, s, id, "Failed")
	if got := getObject(t, s, id, "i-1"); *got.StandardOutputContent+*got.StandardErrorContent != "" {
		t.Errorf("invocation is %+v", got)
	}
}

// blocked runs until it is killed.
func blocked(running chan<- string) machine {
	return func(ctx context.Context, _ string, env []string) localaws.Exit {
		running <- env[1]
		<-ctx.Done()
		return localaws.Exit{Code: 137}
	}
}

func TestExecutionTimeoutKillsTheScript(t *testing.T) {
	s := start(t, localaws.Options{})
	s.AddInstance(localaws.Instance{ID: "i-1", Machine: blocked(make(chan string, 2))})
	in := shell("sleep 9", "i-1")
	in.Parameters["executionTimeout"] = []string{"1"}
	if got := settle(t, s, send(t, s, in), "ExecutionTimedOut"); got[0].Status != "TimedOut" {
		t.Errorf("status is %s", got[0].Status)
	}
	in.Parameters["executionTimeout"] = []string{"1m"} // cannot be read: an hour
	if got := parent(t, s, send(t, s, in)); got.ExpiresAfter.Sub(*got.RequestedDateTime) != 2*time.Hour {
		t.Errorf("expires after %s", got.ExpiresAfter.Sub(*got.RequestedDateTime))
	}
}

func TestCancelKillsWhatRunsAndStopsWhatWaits(t *testing.T) {
	s := start(t, localaws.Options{})
	running := make(chan string, 2)
	for _, instance := range []string{"i-1", "i-2"} {
		s.AddInstance(localaws.Instance{ID: instance, Machine: blocked(running)})
	}
	in := shell("sleep 9", "i-1", "i-2")
	in.MaxConcurrency = aws.String("1")
	id := send(t, s, in)
	if first := <-running; first != "AWS_SSM_INSTANCE_ID=i-1" {
		t.Fatalf("%s runs first", first)
	}
	client := ssm.NewFromConfig(once(s))
	if _, err := client.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: &id}); err != nil {
		t.Fatal(err)
	}
	settle(t, s, id, "Cancelled")
	if got := parent(t, s, id); got.Status != "Cancelled" || len(running) != 0 {
		t.Errorf("parent is %s, %d more ran", got.Status, len(running))
	}
	_, err := client.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: aws.String(strings.Repeat("0", 36))})
	wantCode(t, err, "InvalidCommandId")
}

func TestConcurrencyIsRespectedAndErrorsStopTheRest(t *testing.T) {
	s := start(t, localaws.Options{})
	var now, most, runs atomic.Int32
	var ids []string
	for n := range 8 {
		ids = append(ids, fmt.Sprintf("i-%d", n))
		s.AddInstance(localaws.Instance{ID: ids[n], Machine: machine(func(context.Context, string, []string) localaws.Exit {
			runs.Add(1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(20 * time.Millisecond)
			now.Add(-1)
			return localaws.Exit{Code: 1}
		})})
	}
	in := shell("false", ids...)
	in.MaxConcurrency, in.MaxErrors = aws.String("25%"), aws.String("100%")
	settle(t, s, send(t, s, in), "Failed")
	if most.Load() != 2 || runs.Load() != 8 {
		t.Errorf("%d at once, %d in all", most.Load(), runs.Load())
	}
	in.MaxConcurrency, in.MaxErrors = aws.String("1"), aws.String("1")
	id := send(t, s, in)
	got := settle(t, s, id, "Failed", "Terminated")
	if runs.Load() != 8+2 || *got[2].StatusDetails != "Terminated" {
		t.Errorf("%d ran, third is %s", runs.Load()-8, *got[2].StatusDetails)
	}
	if p := parent(t, s, id); p.Status != "Failed" || p.ErrorCount != 2 || p.CompletedCount != 8 {
		t.Errorf("parent is %s, %d errors, %d completed", p.Status, p.ErrorCount, p.CompletedCount)
	}
}

func TestTheParentCallsUndeliverableASuccess(t *testing.T) {
	s := start(t, localaws.Options{})
	s.AddInstance(localaws.Instance{ID: "i-0"})
	ids := []string{"i-0"}
	for n := range 4 {
		ids = append(ids, fmt.Sprintf("i-%d", n+1))
		s.AddInstance(localaws.Instance{ID: ids[n+1], InjectFault: func(localaws.Invocation) *localaws.DeliveryFault {
			return &localaws.DeliveryFault{Status: "Undeliverable"}
		}})
	}
	id := send(t, s, shell("true", ids...))
	settle(t, s, id, "Success", "Undeliverable")
	got := parent(t, s, id)
	if got.Status != "Success" || got.TargetCount != 5 || got.CompletedCount != 5 || got.ErrorCount != 0 {
		t.Errorf("parent is %+v", got)
	}
}

func TestVerdictsForceWhatIsReported(t *testing.T) {
	s := start(t, localaws.Options{})
	ran := make(chan int, 10)
	script := func(v localaws.DeliveryFault) string {
		s.AddInstance(localaws.Instance{
			ID:      "i-1",
			Machine: machine(func(context.Context, string, []string) localaws.Exit { ran <- 1; return localaws.Exit{} }),
			InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
				if i.InstanceID != "i-1" || i.Script != "true\n" || i.CommandID == "" || i.Number == 0 {
					t.Errorf("invocation is %+v", i)
				}
				return &v
			},
		})
		return send(t, s, shell("true", "i-1"))
	}
	id := script(localaws.DeliveryFault{Status: "AccessDenied", Code: -1, Stderr: "no"})
	settle(t, s, id, "AccessDenied")
	if got := getObject(t, s, id, "i-1"); got.Status != "Failed" || got.ResponseCode != -1 || *got.StandardErrorContent != "no" || len(ran) != 0 {
		t.Errorf("invocation is %+v, ran %d times", got, len(ran))
	}
	id = script(localaws.DeliveryFault{Status: "DeliveryTimedOut", Runs: 1})
	settle(t, s, id, "DeliveryTimedOut")
	if got := parent(t, s, id); got.DeliveryTimedOutCount != 1 || len(ran) != 1 {
		t.Errorf("parent is %+v, ran %d times", got, len(ran))
	}
	id = script(localaws.DeliveryFault{Status: "DeliveryTimedOut", StatusFirst: true, Delay: 200 * time.Millisecond})
	settle(t, s, id, "DeliveryTimedOut")
	if len(ran) != 1 {
		t.Error("the script ran before its time")
	}
	<-ran
	<-ran
	settle(t, s, script(localaws.DeliveryFault{Runs: 2}), "Success")
	if len(ran) != 2 {
		t.Errorf("delivered %d times, want twice", len(ran))
	}
	settle(t, s, script(localaws.DeliveryFault{Status: "Foo"}), "Foo")
	id = script(localaws.DeliveryFault{Status: "InProgress"})
	settle(t, s, id, "InProgress")
	if _, err := ssm.NewFromConfig(once(s)).CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: &id}); err != nil {
		t.Fatal(err)
	}
	settle(t, s, id, "Cancelling")
	id = script(localaws.DeliveryFault{Delay: 200 * time.Millisecond})
	settle(t, s, id, "Pending")
	settle(t, s, id, "Success")
}

func TestSendCommandRefusesWhatTheRealOneRefuses(t *testing.T) {
	s := start(t, localaws.Options{})
	s.AddInstance(localaws.Instance{ID: "i-1"})
	s.AddInstance(localaws.Instance{ID: "i-2", PingStatus: "ConnectionLost"})
	s.AddInstance(localaws.Instance{ID: "i-3", PlatformType: "Windows"})
	many := make([]string, 51)
	for n := range many {
		many[n] = fmt.Sprintf("i-%d", n)
	}
	tests := map[string]struct {
		code   string
		change func(*ssm.SendCommandInput)
	}{
		"unknown instance":     {"InvalidInstanceId", func(in *ssm.SendCommandInput) { in.InstanceIds = []string{"i-1", "i-9"} }},
		"offline instance":     {"InvalidInstanceId", func(in *ssm.SendCommandInput) { in.InstanceIds = []string{"i-1", "i-2"} }},
		"windows":              {"UnsupportedPlatformType", func(in *ssm.SendCommandInput) { in.InstanceIds = []string{"i-3"} }},
		"an instance twice":    {"DuplicateInstanceId", func(in *ssm.SendCommandInput) { in.InstanceIds = []string{"i-1", "i-1"} }},
		"51 instances":         {"ValidationException", func(in *ssm.SendCommandInput) { in.InstanceIds = many }},
		"no instance":          {"ValidationException", func(in *ssm.SendCommandInput) { in.InstanceIds = nil }},
		"timeout of 29":        {"ValidationException", func(in *ssm.SendCommandInput) { in.TimeoutSeconds = aws.Int32(29) }},
		"timeout of 2592001":   {"ValidationException", func(in *ssm.SendCommandInput) { in.TimeoutSeconds = aws.Int32(2592001) }},
		"comment of 101":       {"ValidationException", func(in *ssm.SendCommandInput) { in.Comment = aws.String(strings.Repeat("c", 101)) }},
		"no concurrency":       {"ValidationException", func(in *ssm.SendCommandInput) { in.MaxConcurrency = aws.String("0") }},
		"101% errors":          {"ValidationException", func(in *ssm.SendCommandInput) { in.MaxErrors = aws.String("101%") }},
		"another document":     {"InvalidDocument", func(in *ssm.SendCommandInput) { in.DocumentName = aws.String("AWS-Other") }},
		"another parameter":    {"InvalidParameters", func(in *ssm.SendCommandInput) { in.Parameters["command"] = []string{"x"} }},
		"no commands":          {"InvalidParameters", func(in *ssm.SendCommandInput) { delete(in.Parameters, "commands") }},
		"unknown kind of goal": {"InvalidTarget", func(in *ssm.SendCommandInput) { in.InstanceIds, in.Targets = nil, target("resource-groups:Name", "x") }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := shell("true", "i-1")
			test.change(in)
			_, err := ssm.NewFromConfig(once(s)).SendCommand(t.Context(), in)
			wantCode(t, err, test.code)
		})
	}
	if out, err := ssm.NewFromConfig(once(s)).ListCommands(t.Context(), nil); err != nil || len(out.Commands) != 0 {
		t.Errorf("commands are %+v, %v", out, err)
	}
}

func target(key string, values ...string) []types.Target {
	return []types.Target{{Key: aws.String(key), Values: values}}
}

func TestTagTargetsSkipWhatIsNotOnline(t *testing.T) {
	s := start(t, localaws.Options{})
	tags := map[string]string{"Environment": "dev"}
	s.AddInstance(localaws.Instance{ID: "i-1", Tags: tags})
	s.AddInstance(localaws.Instance{ID: "i-2", Tags: tags, PingStatus: "ConnectionLost"})
	s.AddInstance(localaws.Instance{ID: "i-3"})
	in := shell("true")
	in.Targets = target("tag:Environment", "dev")
	id := send(t, s, in)
	if got := settle(t, s, id, "Success"); len(got) != 1 || *got[0].InstanceId != "i-1" {
		t.Errorf("invocations are %+v", got)
	}
	in.Targets = target("tag:Environment", "prod")
	id = send(t, s, in)
	for deadline := time.Now().Add(5 * time.Second); *parent(t, s, id).StatusDetails != "NoInstancesInTag"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("parent is %+v", parent(t, s, id))
		}
	}
}

func TestListsAreFilteredAndPaged(t *testing.T) {
	s := start(t, localaws.Options{})
	for n := range 120 {
		i := localaws.Instance{ID: fmt.Sprintf("i-%03d", n), Tags: map[string]string{"Half": fmt.Sprint(n % 2)}, Address: "10.0.0.1"}
		if n == 1 {
			i.PingStatus = "ConnectionLost"
		}
		s.AddInstance(i)
	}
	client := ssm.NewFromConfig(once(s))
	count := 0
	pages := ssm.NewDescribeInstanceInformationPaginator(client, &ssm.DescribeInstanceInformationInput{Filters: []types.InstanceInformationStringFilter{
		{Key: aws.String("PingStatus"), Values: []string{"Online"}},
	}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		count += len(page.InstanceInformationList)
	}
	if count != 119 {
		t.Errorf("%d of 119 instances", count)
	}
	_, err := client.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{Filters: []types.InstanceInformationStringFilter{
		{Key: aws.String("tag:Half"), Values: []string{"1"}}, {Key: aws.String("PingStatus"), Values: []string{"Online"}},
	}})
	wantCode(t, err, "ValidationException")
	_, err = client.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{Filters: []types.InstanceInformationStringFilter{
		{Key: aws.String("Colour"), Values: []string{"red"}},
	}})
	wantCode(t, err, "InvalidFilterKey")
	_, err = client.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{NextToken: aws.String("x")})
	wantCode(t, err, "InvalidNextToken")
	_, err = client.ListCommandInvocations(t.Context(), &ssm.ListCommandInvocationsInput{MaxResults: aws.Int32(51)})
	wantCode(t, err, "ValidationException")

	in := shell("true")
	in.Targets, in.MaxConcurrency = target("tag:Half", "0"), aws.String("100%")
	id := send(t, s, in)
	if got := settle(t, s, id, "Success"); len(got) != 60 {
		t.Errorf("%d of 60 invocations", len(got))
	}
	out, err := client.ListCommandInvocations(t.Context(), &ssm.ListCommandInvocationsInput{
		CommandId: &id, InstanceId: aws.String("i-002"),
		Filters: []types.CommandFilter{{Key: types.CommandFilterKeyStatus, Value: aws.String("Success")}},
	})
	if err != nil || len(out.CommandInvocations) != 1 || len(out.CommandInvocations[0].CommandPlugins) != 0 {
		t.Errorf("invocations are %+v, %v", out, err)
	}
}

func TestCloseKillsWhatStillRuns(t *testing.T) {
	s := start(t, localaws.Options{})
	running, killed := make(chan string, 1), make(chan bool, 1)
	s.AddInstance(localaws.Instance{ID: "i-1", Machine: machine(func(ctx context.Context, script string, env []string) localaws.Exit {
		exit := blocked(running)(ctx, script, env)
		killed <- true
		return exit
	})})
	send(t, s, shell("sleep 9", "i-1"))
	<-running
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(killed) != 1 {
		t.Error("Close did not wait for the script")
	}
}
