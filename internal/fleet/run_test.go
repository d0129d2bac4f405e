package fleet_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/localaws"
)

// describeCommand returns the command with its overall status.
func describeCommand(t *testing.T, s *localaws.Server, id string) types.Command {
	t.Helper()
	out, err := ssm.NewFromConfig(s.Config()).ListCommands(t.Context(), &ssm.ListCommandsInput{CommandId: &id})
	if err != nil || len(out.Commands) != 1 {
		t.Fatalf("commands are %+v, %v", out, err)
	}
	return out.Commands[0]
}

func TestOutcomeOfAnInstanceIgnoresTheStatusOfTheCommand(t *testing.T) {
	tests := map[string]struct{ reported, status string }{
		"undeliverable":           {"Undeliverable", "Undeliverable"},
		"access denied":           {"AccessDenied", "AccessDenied"},
		"access denied in words":  {"Access Denied", "AccessDenied"},
		"invalid platform":        {"InvalidPlatform", "InvalidPlatform"},
		"invalid platform, words": {"Invalid Platform", "InvalidPlatform"},
		"terminated":              {"Terminated", "Terminated"},
	}
	for name, test := range tests {
		runInBubble(t, name, func(t *testing.T) {
			s := startServer(t, localaws.Options{})
			lost := localaws.DeliveryFault{Status: test.reported, Code: -1}
			on := addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine}, faultyInstance("i-2", lost), faultyInstance("i-3", lost), faultyInstance("i-4", lost), faultyInstance("i-5", lost))
			run, err := newFleet(s).Run(t.Context(), script, on, nil)
			if err != nil {
				t.Fatal(err)
			}
			if status := describeCommand(t, s, onlyCommandID(run)).Status; status != "Success" {
				t.Errorf("the command's status is %s, want Success despite the undelivered instances", status)
			}
			wantOutcomes(t, run, "i-1 ran Success", "i-2 not run "+test.status, "i-3 not run "+test.status, "i-4 not run "+test.status, "i-5 not run "+test.status)
			if want := "SSM did not deliver the command: " + test.status; run.Results[1].Reason != want {
				t.Errorf("reason is %q, want %q", run.Results[1].Reason, want)
			}
		})
	}
}

func TestOutcomeIsCompletedOnlyWithAFinalStatus(t *testing.T) {
	tests := map[string]struct {
		verdict localaws.DeliveryFault
		outcome fleet.Outcome
		reason  string // part of the reason
	}{
		"success":             {localaws.DeliveryFault{Status: "Success", Stdout: reportLine}, fleet.Completed, ""},
		"failure":             {localaws.DeliveryFault{Status: "Failed", Code: 40, Stdout: reportLine}, fleet.Completed, ""},
		"unknown status":      {localaws.DeliveryFault{Status: "Foo", Stdout: reportLine}, fleet.Unknown, "ended as Foo"},
		"delivery timed out":  {localaws.DeliveryFault{Status: "DeliveryTimedOut", Code: -1}, fleet.Unknown, "ended as DeliveryTimedOut"},
		"execution timed out": {localaws.DeliveryFault{Status: "ExecutionTimedOut", Code: 137, Stdout: reportLine}, fleet.Unknown, "ended as ExecutionTimedOut"},
		"cancelled":           {localaws.DeliveryFault{Status: "Cancelled", Code: 137, Stdout: reportLine}, fleet.Unknown, "ended as Cancelled"},
	}
	for name, test := range tests {
		runInBubble(t, name, func(t *testing.T) {
			s := startServer(t, localaws.Options{})
			run, err := newFleet(s).Run(t.Context(), script, addInstances(s, faultyInstance("i-1", test.verdict)), nil)
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

func TestInstanceIsPendingUntilItIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{InvocationDelay: 10 * time.Second})
		on := addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine})
		var seen []string
		run, err := newFleet(s).Run(t.Context(), script, on, func(commands []string, states fleet.States, _ []fleet.Result) {
			seen = append(seen, fmt.Sprint(len(commands), states))
		})
		if err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, run, "i-1 ran Success")
		if n := len(callsOf(s, "ssm:ListCommandInvocations")); n < 6 {
			t.Errorf("listed %d times: the list was never empty five times", n)
		}
		if diff := cmp.Diff([]string{"1 map[Pending:1]", "1 map[Success:1]"}, seen); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRunReadsAnInvocationAgainUntilItExists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:GetCommandInvocation", Times: 5, Error: &localaws.Error{Code: "InvocationDoesNotExist"}})
		run, err := newFleet(s).Run(t.Context(), script, addInstances(s, localaws.Instance{ID: "i-1", Machine: fixedMachine{stdout: reportLine, code: 40}}), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, run, "i-1 ran Failed")
		if n := len(callsOf(s, "ssm:GetCommandInvocation")); n != 6 {
			t.Errorf("read %d times", n)
		}
	})
}

func TestRunRetriesThrottledPolls(t *testing.T) {
	runInBubble(t, "by the SDK and by the next polls", func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:ListCommandInvocations", Times: 20, Error: throttled})
		config := s.Config()
		config.Retryer = func() aws.Retryer { return retry.AddWithMaxBackoffDelay(retry.NewStandard(), time.Millisecond) }
		run, err := fleet.New(ssm.NewFromConfig(config), delivery).
			Run(t.Context(), script, addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine}), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, run, "i-1 ran Success")
	})
	runInBubble(t, "in two series of nine", func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		list := func(times int) {
			s.AddFault(localaws.Fault{Operation: "ssm:ListCommandInvocations", Times: times, Error: throttled})
		}
		slow := faultyInstance("i-2", localaws.DeliveryFault{Delay: 25 * time.Second})
		slow.Machine = healthyMachine
		on := addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine}, slow)
		list(9)
		run, err := newFleet(s).Run(t.Context(), script, on, func(_ []string, states fleet.States, _ []fleet.Result) {
			if states["Success"] == 1 {
				list(9)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, run, "i-1 ran Success", "i-2 ran Success")
		if n := len(callsOf(s, "ssm:ListCommandInvocations")); n < 20 {
			t.Errorf("listed %d times", n)
		}
	})
	runInBubble(t, "until the run gives up", func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		on := addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine}, localaws.Instance{ID: "i-2", Machine: fixedMachine{stdout: reportLine, code: 40}})
		s.AddFault(localaws.Fault{Operation: "ssm:ListCommandInvocations", Times: 9, Error: throttled})
		s.AddFault(localaws.Fault{Operation: "ssm:GetCommandInvocation", Times: 9, Error: throttled})
		run, err := newFleet(s).Run(t.Context(), script, on, nil)
		if err == nil {
			t.Fatal("eighteen polls failed in a row without an error")
		}
		wantOutcomes(t, run, "i-1 ran Success", "i-2 unknown Failed")
	})
}

func TestRunNamesACommandThatCannotBeFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:ListCommandInvocations", Error: &localaws.Error{Code: "AccessDeniedException", Message: "no"}})
		run, err := newFleet(s).Run(t.Context(), script, addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine}), nil)
		if err == nil || onlyCommandID(run) == "" || !strings.Contains(err.Error(), onlyCommandID(run)) || !strings.Contains(err.Error(), "AccessDeniedException") {
			t.Fatalf("error about %q is %v", onlyCommandID(run), err)
		}
		wantOutcomes(t, run, "i-1 unknown Pending")
		if cancelled := callsOf(s, "ssm:CancelCommand"); len(cancelled) != 0 {
			t.Errorf("cancelled %v", cancelled)
		}
	})
}

func TestRunFindsTheReportInALongOutput(t *testing.T) {
	const megabyte = 1 << 20
	padded := strings.Replace(reportLine, `"verified"`, `"message":"`+strings.Repeat("m", 2600)+`","verified"`, 1)
	tests := map[string]struct {
		stdout string
		gets   int
	}{
		"the line first":               {reportLine + strings.Repeat("x", megabyte), 0},
		"a line longer than a listing": {padded + strings.Repeat("x", megabyte), 1},
		"the line after other output":  {strings.Repeat("x\n", 5000) + reportLine + strings.Repeat("x", megabyte), 1},
	}
	for name, test := range tests {
		runInBubble(t, name, func(t *testing.T) {
			s := startServer(t, localaws.Options{})
			run, err := newFleet(s).Run(t.Context(), script, addInstances(s, localaws.Instance{ID: "i-1", Machine: fixedMachine{stdout: test.stdout}}), nil)
			if err != nil {
				t.Fatal(err)
			}
			wantOutcomes(t, run, "i-1 ran Success")
			if got := run.Results[0].Stdout; !strings.Contains(got, `"verified":true}`) {
				t.Errorf("stdout is %.200q", got)
			}
			if n := len(callsOf(s, "ssm:GetCommandInvocation")); n != test.gets {
				t.Errorf("read the output %d times, want %d", n, test.gets)
			}
		})
	}
}

func TestRunReadsTheLogOfAFailedInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		run, err := newFleet(s).Run(t.Context(), script, addInstances(s, localaws.Instance{ID: "i-1", Machine: fixedMachine{stdout: reportLine, stderr: "::error::the disk is full\n", code: 40}}), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := run.Results[0]; got.Stderr != "::error::the disk is full\nfailed to run commands: exit status 40" || got.ExitCode != 40 {
			t.Errorf("exit code %d, log %q", got.ExitCode, got.Stderr)
		}
	})
}

func TestRunReachesFiftyInstancesWithOneCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		var list []localaws.Instance
		for n := range fleet.MaxInstanceIDs {
			list = append(list, localaws.Instance{ID: fmt.Sprintf("i-%02d", n), Machine: healthyMachine})
		}
		on := addInstances(s, list...)
		slices.Reverse(on)
		wanted := fleet.Command{Lines: []string{"#!/bin/bash", "set -- deploy", "echo\ntrue"}, Comment: "deploy atta", Timeout: 90 * time.Second}
		run, err := newFleet(s).Run(t.Context(), wanted, on, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, result := range run.Results {
			if result.Instance.ID != on[i].ID || result.Outcome != fleet.Completed {
				t.Errorf("result %d is %+v, want %s", i, result, on[i])
			}
		}
		if sent := callsOf(s, "ssm:SendCommand"); len(sent) != 1 {
			t.Errorf("sent %d commands", len(sent))
		}
		got := describeCommand(t, s, onlyCommandID(run))
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
	})
}
