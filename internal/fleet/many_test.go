package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/localaws"
)

// addManyInstances adds n instances.
func addManyInstances(s *localaws.Server, n int, change func(n int, i *localaws.Instance)) []fleet.Instance {
	list := make([]localaws.Instance, n)
	for i := range list {
		list[i] = localaws.Instance{ID: fmt.Sprintf("i-%03d", i), Machine: healthyMachine}
		change(i, &list[i])
	}
	return addInstances(s, list...)
}

func TestRunSendsACommandForEveryFiftyInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		on := addManyInstances(s, 120, func(n int, i *localaws.Instance) {
			switch n {
			case 7:
				*i = faultyInstance(i.ID, localaws.DeliveryFault{Status: "AccessDenied", Code: -1})
			case 119:
				*i = localaws.Instance{ID: i.ID, Machine: fixedMachine{stdout: reportLine, stderr: "why", code: 40}}
			}
		})
		var reported []int
		run, err := newFleet(s).Run(t.Context(), script, on, func(commands []string, _ fleet.States, _ []fleet.Result) { reported = append(reported, len(commands)) })
		if err != nil {
			t.Fatal(err)
		}
		if sent := callsOf(s, "ssm:SendCommand"); len(sent) != 3 || len(run.CommandIDs) != 3 || reported[0] != 1 {
			t.Errorf("%d commands, ids %v, reported %v", len(sent), run.CommandIDs, reported)
		}
		for i, result := range run.Results {
			want := fleet.Completed
			if i == 7 {
				want = fleet.NotDelivered
			}
			if result.Instance.ID != on[i].ID || result.Outcome != want {
				t.Errorf("result %d is %+v", i, result)
			}
		}
		if log := run.Results[119].Stderr; !strings.HasPrefix(log, "why") {
			t.Errorf("its log is %q", log)
		}
	})
}

func TestRunStopsSendingAfterARefusedCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		on := addManyInstances(s, 150, func(n int, i *localaws.Instance) {
			if n == 60 {
				i.PingStatus = "ConnectionLost" // after it was found
			}
		})
		run, err := newFleet(s).Run(t.Context(), script, on, nil)
		if err == nil || !strings.Contains(err.Error(), "i-060") {
			t.Errorf("error is %v", err)
		}
		for i, result := range run.Results {
			if want := i < 50; (result.Outcome == fleet.Completed) != want || !want && result.Outcome != fleet.NotDelivered {
				t.Errorf("result %d is %+v", i, result)
			}
		}
		if n := len(callsOf(s, "ssm:SendCommand")); n != 2 {
			t.Errorf("sent %d commands", n)
		}
	})
}

func TestRunListsOnlyCommandsWhoseCountersChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		on := addManyInstances(s, 500, func(n int, i *localaws.Instance) {
			if n == 499 {
				i.InjectFault = func(localaws.Invocation) *localaws.DeliveryFault {
					return &localaws.DeliveryFault{Delay: 29 * time.Second}
				}
			}
		})
		run, err := newFleet(s).Run(t.Context(), script, on, nil)
		if err != nil || !strings.HasSuffix(formatOutcomes(run), "i-499 ran Success") {
			t.Fatal(err)
		}
		if lists, polls := len(callsOf(s, "ssm:ListCommandInvocations")), len(callsOf(s, "ssm:ListCommands")); lists > 2*10 || polls < 5 {
			t.Errorf("%d lists of 10 commands in %d polls", lists, polls)
		}
	})
}

func TestRunListsACommandAfterTwoMinutesWhenItsCountersNeverChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		on := addManyInstances(s, 60, func(_ int, i *localaws.Instance) { i.InjectFault = delayBy(29 * time.Second) })
		long := script
		long.Timeout = 10 * time.Minute
		began := time.Now()
		run, err := fleet.New(zeroCounterClient{ssm.NewFromConfig(s.Config())}, delivery).Run(t.Context(), long, on, nil)
		if took := time.Since(began); err != nil || strings.Contains(formatOutcomes(run), "unknown") || took < 2*time.Minute || took > 130*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		if pause := longestPause(callsOf(s, "ssm:ListCommands")); pause < 4*time.Second || pause > 6100*time.Millisecond { // 5 s and the jitter
			t.Errorf("the longest pause between polls was %s", pause)
		}
	})
}

// zeroCounterClient is a client whose counters are always 0.
type zeroCounterClient struct{ *ssm.Client }

func (b zeroCounterClient) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, options ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	out, err := b.Client.ListCommands(ctx, in, options...)
	for i := range out.Commands {
		out.Commands[i].CompletedCount = 0
	}
	return out, err
}

func TestRunCancelsBothCopiesOfACommandWhoseReplyWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Times: 1, DropReply: true})
		on := addInstances(s, faultyInstance("i-1", silentAgent))
		ctx, cancel := context.WithCancelCause(t.Context())
		signal := errors.New("interrupt signal received")
		run, err := newFleet(s).Run(ctx, script, on, func([]string, fleet.States, []fleet.Result) {
			time.AfterFunc(10*time.Second, func() { cancel(signal) })
		})
		if !errors.Is(err, signal) {
			t.Fatal(err)
		}
		wantOutcomes(t, run, "i-1 unknown InProgress")
		cancelled := map[string]bool{}
		for _, call := range callsOf(s, "ssm:CancelCommand") {
			cancelled[call.Resource] = true
		}
		if len(callsOf(s, "ssm:SendCommand")) != 2 || len(cancelled) != 2 || !cancelled[onlyCommandID(run)] {
			t.Errorf("sent %d, cancelled %v", len(callsOf(s, "ssm:SendCommand")), cancelled)
		}
	})
}

func TestOutcomeIsUnknownWhenASendIsThrottledAfterALostReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Times: 1, DropReply: true})
		s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Error: &localaws.Error{Code: "ThrottlingException", Message: "Rate exceeded"}})
		run, err := newFleet(s).Run(t.Context(), script, addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine}), nil)
		if err == nil || !strings.Contains(err.Error(), "the response to an earlier attempt was lost") {
			t.Errorf("error is %v", err)
		}
		wantOutcomes(t, run, "i-1 unknown NotSent")
	})
}

func TestStopOnFailureAllowsNoErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		careful := script
		careful.StopOnFailure = true
		run, err := newFleet(s).Run(t.Context(), careful, addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine}), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := *describeCommand(t, s, onlyCommandID(run)).MaxErrors; got != "0" {
			t.Errorf("MaxErrors is %s", got)
		}
	})
}
