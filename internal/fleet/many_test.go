package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/localaws"
)

// crowd adds n instances.
func crowd(s *localaws.Server, n int, change func(n int, i *localaws.Instance)) []fleet.Instance {
	list := make([]localaws.Instance, n)
	for i := range list {
		list[i] = localaws.Instance{ID: fmt.Sprintf("i-%03d", i), Machine: healthy}
		change(i, &list[i])
	}
	return add(s, list...)
}

func TestALargeFleetGetsACommandForEveryFifty(t *testing.T) {
	t.Parallel()
	s := start(t, localaws.Options{})
	on := crowd(s, 120, func(n int, i *localaws.Instance) {
		switch n {
		case 7:
			*i = answers(i.ID, localaws.DeliveryFault{Status: "AccessDenied", Code: -1})
		case 119:
			*i = localaws.Instance{ID: i.ID, Machine: prints{stdout: good, stderr: "why", code: 40}}
		}
	})
	var told []int
	run, err := reach(s).Run(t.Context(), script, on, func(commands []string, _ fleet.States) { told = append(told, len(commands)) })
	if err != nil {
		t.Fatal(err)
	}
	if sent := calls(s, "ssm:SendCommand"); len(sent) != 3 || len(run.CommandIDs) != 3 || told[0] != 1 {
		t.Errorf("%d commands, ids %v, told of %v", len(sent), run.CommandIDs, told)
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
	if log := run.Results[119].Log; !strings.HasPrefix(log, "why") {
		t.Errorf("its log is %q", log)
	}
}

// One that is refused must not hide what became of those before it, and nothing is sent after it.
func TestACommandThatIsRefusedEndsTheSending(t *testing.T) {
	t.Parallel()
	s := start(t, localaws.Options{})
	on := crowd(s, 150, func(n int, i *localaws.Instance) {
		if n == 60 {
			i.PingStatus = "ConnectionLost" // since it was found
		}
	})
	run, err := reach(s).Run(t.Context(), script, on, nil)
	if err == nil || !strings.Contains(err.Error(), "i-060") {
		t.Errorf("error is %v", err)
	}
	for i, result := range run.Results {
		if want := i < 50; (result.Outcome == fleet.Completed) != want || !want && result.Outcome != fleet.NotDelivered {
			t.Errorf("result %d is %+v", i, result)
		}
	}
	if n := len(calls(s, "ssm:SendCommand")); n != 2 {
		t.Errorf("sent %d commands", n)
	}
}

func TestCountersTellWhereToLook(t *testing.T) {
	t.Parallel()
	s := start(t, localaws.Options{})
	on := crowd(s, 500, func(n int, i *localaws.Instance) {
		if n == 499 {
			i.InjectFault = func(localaws.Invocation) *localaws.DeliveryFault { return &localaws.DeliveryFault{Delay: time.Second} }
		}
	})
	run, err := reach(s).Run(t.Context(), script, on, nil)
	if err != nil || !strings.HasSuffix(outcomes(run), "i-499 ran Success") {
		t.Fatal(err)
	}
	if sweeps, looks := len(calls(s, "ssm:ListCommandInvocations")), len(calls(s, "ssm:ListCommands")); sweeps > 40 || looks < 20 {
		t.Errorf("%d sweeps of 10 commands in %d looks", sweeps, looks)
	}
}

// Counters may lie, too.
func TestACommandWhoseCountersStandStillIsSweptAllTheSame(t *testing.T) {
	t.Parallel()
	s := start(t, localaws.Options{})
	on := crowd(s, 60, func(int, *localaws.Instance) {})
	f := fleet.New(blind{ssm.NewFromConfig(s.Config())}, delivery).Hurry(0).Stale(100 * time.Millisecond)
	if run, err := f.Run(t.Context(), script, on, nil); err != nil || strings.Contains(outcomes(run), "unknown") {
		t.Error(err)
	}
}

// blind is a client whose counters are always 0.
type blind struct{ *ssm.Client }

func (b blind) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, options ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	out, err := b.Client.ListCommands(ctx, in, options...)
	for i := range out.Commands {
		out.Commands[i].CompletedCount = 0
	}
	return out, err
}

func TestALostReplyIsSentAgainAndBothCopiesAreCancelled(t *testing.T) {
	t.Parallel()
	s := start(t, localaws.Options{})
	s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Times: 1, DropReply: true})
	on := add(s, answers("i-1", dead))
	ctx, cancel := context.WithCancelCause(t.Context())
	signal := errors.New("interrupt signal received")
	run, err := reach(s).Run(ctx, script, on, func([]string, fleet.States) {
		time.AfterFunc(100*time.Millisecond, func() { cancel(signal) })
	})
	if !errors.Is(err, signal) {
		t.Fatal(err)
	}
	wantOutcomes(t, run, "i-1 unknown InProgress")
	cancelled := map[string]bool{}
	for _, call := range calls(s, "ssm:CancelCommand") {
		cancelled[call.Resource] = true
	}
	if len(calls(s, "ssm:SendCommand")) != 2 || len(cancelled) != 2 || !cancelled[id(run)] {
		t.Errorf("sent %d, cancelled %v", len(calls(s, "ssm:SendCommand")), cancelled)
	}
}

func TestThrottlingAfterALostReplyLeavesItOpenWhetherTheCommandWasSent(t *testing.T) {
	t.Parallel()
	s := start(t, localaws.Options{})
	s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Times: 1, DropReply: true})
	s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Error: &localaws.Error{Code: "ThrottlingException", Message: "Rate exceeded"}})
	run, err := reach(s).Run(t.Context(), script, add(s, localaws.Instance{ID: "i-1", Machine: healthy}), nil)
	if err == nil || !strings.Contains(err.Error(), "the reply to an attempt before was lost") {
		t.Errorf("error is %v", err)
	}
	wantOutcomes(t, run, "i-1 unknown NotSent")
}

func TestACarefulScriptStopsWithItsFirstFailure(t *testing.T) {
	s := start(t, localaws.Options{})
	careful := script
	careful.StopOnFailure = true
	run, err := reach(s).Run(t.Context(), careful, add(s, localaws.Instance{ID: "i-1", Machine: healthy}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := *parent(t, s, id(run)).MaxErrors; got != "0" {
		t.Errorf("MaxErrors is %s", got)
	}
}
