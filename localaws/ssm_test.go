package localaws_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

func getInvocation(t *testing.T, s *localaws.Server, id, instance string) *ssm.GetCommandInvocationOutput {
	t.Helper()
	out, err := ssm.NewFromConfig(once(s)).GetCommandInvocation(t.Context(), &ssm.GetCommandInvocationInput{CommandId: &id, InstanceId: &instance})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func describeCommand(t *testing.T, s *localaws.Server, id string) types.Command {
	t.Helper()
	out, err := ssm.NewFromConfig(once(s)).ListCommands(t.Context(), &ssm.ListCommandsInput{CommandId: &id})
	if err != nil || len(out.Commands) != 1 {
		t.Fatalf("commands are %+v, %v", out, err)
	}
	return out.Commands[0]
}

// waitForDetails polls until every invocation has one of the given details.
func waitForDetails(t *testing.T, s *localaws.Server, id string, details ...string) []types.CommandInvocation {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
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

func TestNewCommandHasNoVisibleInvocations(t *testing.T) {
	s := start(t, localaws.Options{InvocationDelay: 300 * time.Millisecond})
	s.AddInstance(localaws.Instance{ID: "i-1", Name: "ip-10-0-0-1"})
	id := send(t, s, shell("true", "i-1"))
	if got := describeCommand(t, s, id); got.TargetCount != 1 {
		t.Errorf("target count is %d", got.TargetCount)
	}
	if got := invocations(t, s, id); len(got) != 0 {
		t.Errorf("invocations are %+v", got)
	}
	_, err := ssm.NewFromConfig(once(s)).GetCommandInvocation(t.Context(), &ssm.GetCommandInvocationInput{CommandId: &id, InstanceId: aws.String("i-1")})
	wantCode(t, err, "InvocationDoesNotExist")
	if got := waitForDetails(t, s, id, "Success"); *got[0].InstanceName != "ip-10-0-0-1" {
		t.Errorf("invocation is %+v", got[0])
	}
}

func TestOutputIsTruncatedLikeTheAPI(t *testing.T) {
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
			listed := waitForDetails(t, s, id, "Success")
			if diff := cmp.Diff(test.listed, *listed[0].CommandPlugins[0].Output); diff != "" {
				t.Error(diff)
			}
			got := getInvocation(t, s, id, "i-1")
			if o, e := len(*got.StandardOutputContent), len(*got.StandardErrorContent); o != min(test.stdout, 24000) || e != min(test.stderr, 8000) {
				t.Errorf("lengths are %d and %d", o, e)
			}
		})
	}
}

func TestParentStatusCountsUndeliverableAsSuccess(t *testing.T) {
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
	waitForDetails(t, s, id, "Success", "Undeliverable")
	got := describeCommand(t, s, id)
	if got.Status != "Success" || got.TargetCount != 5 || got.CompletedCount != 5 || got.ErrorCount != 0 {
		t.Errorf("parent is %+v", got)
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
	if got := waitForDetails(t, s, id, "Success"); len(got) != 60 {
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
