package localaws_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"
	"github.com/org/atta-deploy-action/localaws"
)

func TestMachineReceivesOneScriptAndTheAgentsEnvironment(t *testing.T) {
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
	waitForDetails(t, s, id, "Failed")
	want := run{
		"#!/bin/bash\ncd -- '/opt/it'\\''s' || exit\necho 90\necho {{ unknown }}\n",
		[]string{"AWS_SSM_REGION_NAME=us-east-1", "AWS_SSM_INSTANCE_ID=i-1", "SSM_COMMAND_ID=" + id},
	}
	if diff := cmp.Diff(want, <-runs, cmp.AllowUnexported(run{})); diff != "" {
		t.Error(diff)
	}
	got := getInvocation(t, s, id, "i-1")
	if got.ResponseCode != 7 || *got.StandardOutputContent != "out" || *got.StandardErrorContent != "err\nfailed to run commands: exit status 7" {
		t.Errorf("invocation is %+v", got)
	}
}

func TestExitCodesMapToTheAgentsStatuses(t *testing.T) {
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
		waitForDetails(t, s, id, test.details)
		if got := getInvocation(t, s, id, instance); got.ResponseCode != int32(test.code) {
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
	waitForDetails(t, s, send(t, s, shell("true", "i-1")), "Success")
	if runs.Load() != 2 || s.Reboots("i-1") != 1 {
		t.Errorf("%d runs, %d reboots", runs.Load(), s.Reboots("i-1"))
	}
	waitForDetails(t, s, send(t, s, shell("true", "i-2")), "Failed")
	if s.Reboots("i-2") != 5 {
		t.Errorf("%d reboots of a machine that never stops", s.Reboots("i-2"))
	}
}

func TestParameterStoreReferenceFailsWithoutOutput(t *testing.T) {
	s := start(t, localaws.Options{})
	s.AddInstance(localaws.Instance{ID: "i-1", Machine: machine(func(context.Context, string, []string) localaws.Exit {
		t.Error("the script ran")
		return localaws.Exit{}
	})})
	id := send(t, s, shell("# {{ssm:NAME}}", "i-1"))
	waitForDetails(t, s, id, "Failed")
	if got := getInvocation(t, s, id, "i-1"); *got.StandardOutputContent+*got.StandardErrorContent != "" {
		t.Errorf("invocation is %+v", got)
	}
}

// blocked returns a machine whose scripts run until they are killed.
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
	if got := waitForDetails(t, s, send(t, s, in), "ExecutionTimedOut"); got[0].Status != "TimedOut" {
		t.Errorf("status is %s", got[0].Status)
	}
	in.Parameters["executionTimeout"] = []string{"1m"} // cannot be read: an hour
	if got := describeCommand(t, s, send(t, s, in)); got.ExpiresAfter.Sub(*got.RequestedDateTime) != 2*time.Hour {
		t.Errorf("expires after %s", got.ExpiresAfter.Sub(*got.RequestedDateTime))
	}
}

func TestCancelKillsRunningAndSkipsPendingInvocations(t *testing.T) {
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
	waitForDetails(t, s, id, "Cancelled")
	if got := describeCommand(t, s, id); got.Status != "Cancelled" || len(running) != 0 {
		t.Errorf("parent is %s, %d more ran", got.Status, len(running))
	}
	_, err := client.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: aws.String(strings.Repeat("0", 36))})
	wantCode(t, err, "InvalidCommandId")
}

func TestDeliveryFaultsOverrideTheReportedStatus(t *testing.T) {
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
	waitForDetails(t, s, id, "AccessDenied")
	if got := getInvocation(t, s, id, "i-1"); got.Status != "Failed" || got.ResponseCode != -1 || *got.StandardErrorContent != "no" || len(ran) != 0 {
		t.Errorf("invocation is %+v, ran %d times", got, len(ran))
	}
	id = script(localaws.DeliveryFault{Status: "DeliveryTimedOut", Runs: 1})
	waitForDetails(t, s, id, "DeliveryTimedOut")
	if got := describeCommand(t, s, id); got.DeliveryTimedOutCount != 1 || len(ran) != 1 {
		t.Errorf("parent is %+v, ran %d times", got, len(ran))
	}
	id = script(localaws.DeliveryFault{Status: "DeliveryTimedOut", StatusFirst: true, Delay: 200 * time.Millisecond})
	waitForDetails(t, s, id, "DeliveryTimedOut")
	if len(ran) != 1 {
		t.Error("the script ran before its time")
	}
	<-ran
	<-ran
	waitForDetails(t, s, script(localaws.DeliveryFault{Runs: 2}), "Success")
	if len(ran) != 2 {
		t.Errorf("delivered %d times, want twice", len(ran))
	}
	waitForDetails(t, s, script(localaws.DeliveryFault{Status: "Foo"}), "Foo")
	id = script(localaws.DeliveryFault{Status: "InProgress"})
	waitForDetails(t, s, id, "InProgress")
	if _, err := ssm.NewFromConfig(once(s)).CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: &id}); err != nil {
		t.Fatal(err)
	}
	waitForDetails(t, s, id, "Cancelling")
	id = script(localaws.DeliveryFault{Delay: 200 * time.Millisecond})
	waitForDetails(t, s, id, "Pending")
	waitForDetails(t, s, id, "Success")
}

func TestCloseKillsRunningScripts(t *testing.T) {
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
