package fleet_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/atta-deploy-action/localaws"
)

var throttled = &localaws.Error{Code: "ThrottlingException", Message: "Rate exceeded"}

func TestRunSendsAThrottledCommandSixTimesWithABackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Error: throttled})
		if _, err := newFleet(s).Run(t.Context(), script, addInstances(s, localaws.Instance{ID: "i-1"}), nil); err == nil {
			t.Error("a command that was never accepted is not an error")
		}
		sent := callsOf(s, "ssm:SendCommand")
		if len(sent) != 6 {
			t.Fatalf("sent %d times", len(sent))
		}
		for i, backoff := range []time.Duration{1, 2, 4, 8, 16} {
			if gap := sent[i+1].Time.Sub(sent[i].Time); (gap - backoff*time.Second).Abs() > backoff*time.Second/5+50*time.Millisecond {
				t.Errorf("backoff %d was %s", i+1, gap)
			}
		}
	})
}

func TestRunFailsAfterTenFailedPollsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:ListCommandInvocations", Error: throttled})
		if _, err := newFleet(s).Run(t.Context(), script, addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine}), nil); err == nil {
			t.Error("a command that cannot be followed is not an error")
		}
		if n := len(callsOf(s, "ssm:ListCommandInvocations")); n != 10 {
			t.Errorf("polled %d times", n)
		}
	})
}

func TestRunReadsTheLogsOfTwentyFailedInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		on := addManyInstances(s, 30, func(_ int, i *localaws.Instance) {
			i.Machine = fixedMachine{stdout: reportLine, stderr: "why", code: 40}
		})
		run, err := newFleet(s).Run(t.Context(), script, on, nil)
		if err != nil {
			t.Fatal(err)
		}
		logs := 0
		for _, result := range run.Results {
			if result.ExitCode != 40 {
				t.Errorf("%s ended with %d", result.Instance, result.ExitCode)
			}
			if result.Stderr != "" {
				logs++
			}
		}
		if n := len(callsOf(s, "ssm:GetCommandInvocation")); n != 20 || logs != 20 {
			t.Errorf("%d logs with %d requests", logs, n)
		}
	})
}

func TestRunCancelsTenCommandsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:CancelCommand", Delay: time.Second})
		on := addManyInstances(s, 15*50, func(_ int, i *localaws.Instance) { *i = faultyInstance(i.ID, silentAgent) })
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		defer stop()
		_, _ = newFleet(s).Run(ctx, script, on, nil)
		cancelled := callsOf(s, "ssm:CancelCommand")
		if len(cancelled) != 15 {
			t.Fatalf("cancelled %d commands", len(cancelled))
		}
		atOnce := 0
		for _, call := range cancelled {
			if call.Time.Sub(cancelled[0].Time) < 500*time.Millisecond {
				atOnce++
			}
		}
		if atOnce != 10 {
			t.Errorf("%d cancelled at a time", atOnce)
		}
	})
}
