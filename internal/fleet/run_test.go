package fleet_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/localaws"
)

// parent is the command as a whole.
func parent(t *testing.T, s *localaws.Server, id string) types.Command {
	t.Helper()
	out, err := ssm.NewFromConfig(s.Config()).ListCommands(t.Context(), &ssm.ListCommandsInput{CommandId: &id})
	if err != nil || len(out.Commands) != 1 {
		t.Fatalf("commands are %+v, %v", out, err)
	}
	return out.Commands[0]
}

func TestTheParentsSuccessHidesNoInstance(t *testing.T) {
	tests := map[string]struct{ reported, status string }{
		"undeliverable":           {"Undeliverable", "Undeliverable"},
		"access denied":           {"AccessDenied", "AccessDenied"},
		"access denied in words":  {"Access Denied", "AccessDenied"},
		"invalid platform":        {"InvalidPlatform", "InvalidPlatform"},
		"invalid platform, words": {"Invalid Platform", "InvalidPlatform"},
		"terminated":              {"Terminated", "Terminated"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, localaws.Options{})
			lost := localaws.DeliveryFault{Status: test.reported, Code: -1}
			on := add(s, localaws.Instance{ID: "i-1", Machine: healthy}, answers("i-2", lost), answers("i-3", lost), answers("i-4", lost), answers("i-5", lost))
			run, err := reach(s).Run(t.Context(), script, on, nil)
			if err != nil {
				t.Fatal(err)
			}
			if status := parent(t, s, id(run)).Status; status != "Success" {
				t.Errorf("the parent is %s: it lies no more", status)
			}
			wantOutcomes(t, run, "i-1 ran Success", "i-2 not run "+test.status, "i-3 not run "+test.status, "i-4 not run "+test.status, "i-5 not run "+test.status)
			if want := "SSM did not deliver the command: " + test.status; run.Results[1].Reason != want {
				t.Errorf("reason is %q, want %q", run.Results[1].Reason, want)
			}
		})
	}
}

func TestOnlyAFinalStatusSaysThatACommandCompleted(t *testing.T) {
	tests := map[string]struct {
		verdict localaws.DeliveryFault
		outcome fleet.Outcome
		reason  string // a part of it
	}{
		"success":             {localaws.DeliveryFault{Status: "Success", Stdout: good}, fleet.Completed, ""},
		"failure":             {localaws.DeliveryFault{Status: "Failed", Code: 40, Stdout: good}, fleet.Completed, ""},
		"unknown status":      {localaws.DeliveryFault{Status: "Foo", Stdout: good}, fleet.Unknown, "ended as Foo"},
		"delivery timed out":  {localaws.DeliveryFault{Status: "DeliveryTimedOut", Code: -1}, fleet.Unknown, "ended as DeliveryTimedOut"},
		"execution timed out": {localaws.DeliveryFault{Status: "ExecutionTimedOut", Code: 137, Stdout: good}, fleet.Unknown, "ended as ExecutionTimedOut"},
		"cancelled":           {localaws.DeliveryFault{Status: "Cancelled", Code: 137, Stdout: good}, fleet.Unknown, "ended as Cancelled"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, localaws.Options{})
			run, err := reach(s).Run(t.Context(), script, add(s, answers("i-1", test.verdict)), nil)
			if err != nil {
				t.Fatal(err)
			}
			got := run.Results[0]
			if got.Outcome != test.outcome || !strings.Contains(got.Reason, test.reason) || (test.reason == "") != (got.Reason == "") {
				t.Errorf("outcome is %d, %q", got.Outcome, got.Reason)
			}
		})
	}
}

func TestAnEmptyListIsNeitherFailureNorSuccess(t *testing.T) {
	s := start(t, localaws.Options{InvocationDelay: 200 * time.Millisecond})
	on := add(s, localaws.Instance{ID: "i-1", Machine: healthy})
	var seen []string
	run, err := reach(s).Run(t.Context(), script, on, func(commands []string, states fleet.States) {
		seen = append(seen, fmt.Sprint(len(commands), states))
	})
	if err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, run, "i-1 ran Success")
	if n := len(calls(s, "ssm:ListCommandInvocations")); n < 6 {
		t.Errorf("listed %d times: the list was never empty five times", n)
	}
	if diff := cmp.Diff([]string{"1 map[Pending:1]", "1 map[Success:1]"}, seen); diff != "" {
		t.Error(diff)
	}
}

func TestAnInvocationThatIsNotThereYetIsAskedForAgain(t *testing.T) {
	s := start(t, localaws.Options{})
	s.AddFault(localaws.Fault{Operation: "ssm:GetCommandInvocation", Times: 5, Error: &localaws.Error{Code: "InvocationDoesNotExist"}})
	run, err := reach(s).Run(t.Context(), script, add(s, localaws.Instance{ID: "i-1", Machine: prints{stdout: good, code: 40}}), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, run, "i-1 ran Failed")
	if n := len(calls(s, "ssm:GetCommandInvocation")); n != 6 {
		t.Errorf("asked %d times", n)
	}
}

func TestThrottlingIsSatOut(t *testing.T) {
	throttled := &localaws.Error{Code: "ThrottlingException", Message: "Rate exceeded"}
	t.Run("by the SDK and then by patience", func(t *testing.T) {
		s := start(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:ListCommandInvocations", Times: 20, Error: throttled})
		config := s.Config()
		config.Retryer = func() aws.Retryer { return retry.AddWithMaxBackoffDelay(retry.NewStandard(), time.Millisecond) }
		run, err := fleet.New(ssm.NewFromConfig(config), delivery).Hurry(0).
			Run(t.Context(), script, add(s, localaws.Instance{ID: "i-1", Machine: healthy}), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, run, "i-1 ran Success")
	})
	t.Run("from time to time", func(t *testing.T) {
		s := start(t, localaws.Options{})
		list := func(times int) {
			s.AddFault(localaws.Fault{Operation: "ssm:ListCommandInvocations", Times: times, Error: throttled})
		}
		slow := answers("i-2", localaws.DeliveryFault{Delay: 300 * time.Millisecond})
		slow.Machine = healthy
		on := add(s, localaws.Instance{ID: "i-1", Machine: healthy}, slow)
		list(9)
		run, err := reach(s).Run(t.Context(), script, on, func(_ []string, states fleet.States) {
			if states["Success"] == 1 {
				list(9)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, run, "i-1 ran Success", "i-2 ran Success")
		if n := len(calls(s, "ssm:ListCommandInvocations")); n < 20 {
			t.Errorf("listed %d times", n)
		}
	})
	t.Run("without an end", func(t *testing.T) {
		s := start(t, localaws.Options{})
		on := add(s, localaws.Instance{ID: "i-1", Machine: healthy}, localaws.Instance{ID: "i-2", Machine: prints{stdout: good, code: 40}})
		s.AddFault(localaws.Fault{Operation: "ssm:ListCommandInvocations", Times: 9, Error: throttled})
		s.AddFault(localaws.Fault{Operation: "ssm:GetCommandInvocation", Times: 9, Error: throttled})
		run, err := reach(s).Run(t.Context(), script, on, nil)
		if err == nil {
			t.Fatal("eighteen sweeps went wrong in a row, and nobody minds")
		}
		wantOutcomes(t, run, "i-1 ran Success", "i-2 unknown Failed")
	})
}

func TestACommandThatCannotBeFollowedIsNamedAndLeftAlone(t *testing.T) {
	s := start(t, localaws.Options{})
	s.AddFault(localaws.Fault{Operation: "ssm:ListCommandInvocations", Error: &localaws.Error{Code: "AccessDeniedException", Message: "no"}})
	run, err := reach(s).Run(t.Context(), script, add(s, localaws.Instance{ID: "i-1", Machine: healthy}), nil)
	if err == nil || id(run) == "" || !strings.Contains(err.Error(), id(run)) || !strings.Contains(err.Error(), "AccessDeniedException") {
		t.Fatalf("error about %q is %v", id(run), err)
	}
	wantOutcomes(t, run, "i-1 unknown Pending")
	if cancelled := calls(s, "ssm:CancelCommand"); len(cancelled) != 0 {
		t.Errorf("cancelled %v", cancelled)
	}
}

func TestALongOutputDoesNotHideTheReport(t *testing.T) {
	const megabyte = 1 << 20
	padded := strings.Replace(good, `"verified"`, `"message":"`+strings.Repeat("m", 2600)+`","verified"`, 1)
	tests := map[string]struct {
		stdout string
		gets   int
	}{
		"the line first":               {good + strings.Repeat("x", megabyte), 0},
		"a line longer than a listing": {padded + strings.Repeat("x", megabyte), 1},
		"the line behind other output": {strings.Repeat("x\n", 5000) + good + strings.Repeat("x", megabyte), 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, localaws.Options{})
			run, err := reach(s).Run(t.Context(), script, add(s, localaws.Instance{ID: "i-1", Machine: prints{stdout: test.stdout}}), nil)
			if err != nil {
				t.Fatal(err)
			}
			wantOutcomes(t, run, "i-1 ran Success")
			if got := run.Results[0].Stdout; !strings.Contains(got, `"verified":true}`) {
				t.Errorf("standard output is %.200q", got)
			}
			if n := len(calls(s, "ssm:GetCommandInvocation")); n != test.gets {
				t.Errorf("asked for the answer %d times, want %d", n, test.gets)
			}
		})
	}
}

func TestAFailureBringsTheInstancesLog(t *testing.T) {
	s := start(t, localaws.Options{})
	run, err := reach(s).Run(t.Context(), script, add(s, localaws.Instance{ID: "i-1", Machine: prints{stdout: good, stderr: "::error::the disk is full\n", code: 40}}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := run.Results[0]; got.Log != "::error::the disk is full\nfailed to run commands: exit status 40" || got.ExitCode != 40 {
		t.Errorf("exit code %d, log %q", got.ExitCode, got.Log)
	}
}

func TestOneCommandReachesFiftyInstances(t *testing.T) {
	s := start(t, localaws.Options{})
	var list []localaws.Instance
	for n := range fleet.MaxInstanceIDs {
		list = append(list, localaws.Instance{ID: fmt.Sprintf("i-%02d", n), Machine: healthy})
	}
	on := add(s, list...)
	slices.Reverse(on)
	wanted := fleet.Command{Lines: []string{"#!/bin/bash", "set -- deploy", "echo\ntrue"}, Comment: "deploy atta", Timeout: 90 * time.Second}
	run, err := reach(s).Run(t.Context(), wanted, on, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range run.Results {
		if result.Instance.ID != on[i].ID || result.Outcome != fleet.Completed {
			t.Errorf("result %d is %+v, want %s", i, result, on[i])
		}
	}
	if sent := calls(s, "ssm:SendCommand"); len(sent) != 1 {
		t.Errorf("sent %d commands", len(sent))
	}
	got := parent(t, s, id(run))
	for name, pair := range map[string][2]string{
		"document": {*got.DocumentName, "AWS-RunShellScript"}, "comment": {*got.Comment, "deploy atta"},
		"concurrency": {*got.MaxConcurrency, "100%"}, "errors": {*got.MaxErrors, "100%"},
		"delivery timeout":  {fmt.Sprint(*got.TimeoutSeconds), "30"},
		"execution timeout": {strings.Join(got.Parameters["executionTimeout"], "|"), "90"},
		"commands":          {strings.Join(got.Parameters["commands"], "|"), "#!/bin/bash|set -- deploy|echo\ntrue"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", name, pair[0], pair[1])
		}
	}
}
