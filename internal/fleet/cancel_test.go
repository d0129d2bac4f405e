package fleet_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/atta-deploy-action/localaws"
)

var silentAgent = localaws.DeliveryFault{Status: "InProgress"}

func TestRunStopsWaitingForAnInstanceAfterItsTimeLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		on := addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine}, faultyInstance("i-2", silentAgent))
		began := time.Now()
		run, err := newFleet(s).Run(t.Context(), script, on, nil)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took.Round(time.Second) != delivery+script.Timeout+30*time.Second {
			t.Errorf("returned after %s", took)
		}
		wantOutcomes(t, run, "i-1 ran Success", "i-2 unknown InProgress")
		if want := "last seen as InProgress, then: no answer within the timeouts of the command"; run.Results[1].Reason != want {
			t.Errorf("reason is %q", run.Results[1].Reason)
		}
	})
}

func TestRunCancelsTheCommandWhenTheContextEnds(t *testing.T) {
	signal := errors.New("interrupt signal received")
	tests := map[string]func(context.Context) (context.Context, context.CancelFunc){
		"by a signal": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			timer := time.AfterFunc(10*time.Second, func() { cancel(signal) })
			return ctx, func() { timer.Stop(); cancel(nil) }
		},
		"by its timeout": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, 10*time.Second, signal)
		},
	}
	for name, end := range tests {
		runInBubble(t, name, func(t *testing.T) {
			s := startServer(t, localaws.Options{})
			on := addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine}, faultyInstance("i-2", silentAgent))
			ctx, stop := end(t.Context())
			defer stop()
			run, err := newFleet(s).Run(ctx, script, on, nil)
			if !errors.Is(err, signal) || !strings.Contains(err.Error(), onlyCommandID(run)) {
				t.Errorf("error is %v", err)
			}
			cancelled := callsOf(s, "ssm:CancelCommand")
			if len(cancelled) != 1 || cancelled[0].Resource != onlyCommandID(run) || cancelled[0].Status != 200 {
				t.Errorf("cancelled %+v", cancelled)
			}
			wantOutcomes(t, run, "i-1 ran Success", "i-2 unknown InProgress")
			if !strings.Contains(run.Results[1].Reason, signal.Error()) {
				t.Errorf("reason is %q", run.Results[1].Reason)
			}
		})
	}
}

func TestRunStopsACancelThatHangsAfterThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:CancelCommand", Delay: time.Minute})
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		began := time.Now()
		_, err := newFleet(s).Run(ctx, script, addInstances(s, faultyInstance("i-1", silentAgent)), nil)
		if took := time.Since(began); took.Round(100*time.Millisecond) != 10*time.Second+3*time.Second || err == nil || !strings.Contains(err.Error(), "cancel command") {
			t.Errorf("after %s the error is %v", took, err)
		}
	})
}

func TestOutcomeIsNotDeliveredOnlyWhenSendCommandIsRefused(t *testing.T) {
	tests := map[string]struct {
		fault localaws.Fault
		want  string
	}{
		"refused":       {localaws.Fault{Error: &localaws.Error{Code: "AccessDeniedException"}}, "i-1 not run NotSent"},
		"throttled":     {localaws.Fault{Error: &localaws.Error{Code: "ThrottlingException"}}, "i-1 not run NotSent"},
		"server error":  {localaws.Fault{Error: &localaws.Error{Status: 500, Code: "InternalServerError"}}, "i-1 unknown NotSent"},
		"reply is lost": {localaws.Fault{DropReply: true}, "i-1 unknown NotSent"},
	}
	for name, test := range tests {
		runInBubble(t, name, func(t *testing.T) {
			s := startServer(t, localaws.Options{})
			test.fault.Operation = "ssm:SendCommand"
			s.AddFault(test.fault)
			run, err := newFleet(s).Run(t.Context(), script, addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine}), nil)
			if err == nil || !strings.HasPrefix(err.Error(), "send command: ") || onlyCommandID(run) != "" {
				t.Errorf("error about %q is %v", onlyCommandID(run), err)
			}
			wantOutcomes(t, run, test.want)
			if run.Results[0].Reason == "" {
				t.Error("no reason is given")
			}
		})
	}
}

func TestRunCancelsACommandThatIsSentWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Delay: 2 * time.Second})
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		run, err := newFleet(s).Run(ctx, script, addInstances(s, faultyInstance("i-1", silentAgent)), nil)
		if !errors.Is(err, context.DeadlineExceeded) || onlyCommandID(run) == "" {
			t.Fatalf("error about %q is %v", onlyCommandID(run), err)
		}
		if cancelled := callsOf(s, "ssm:CancelCommand"); len(cancelled) != 1 || cancelled[0].Resource != onlyCommandID(run) {
			t.Errorf("cancelled %+v", cancelled)
		}
	})
}

func TestRunStopsASendThatHangsTwoSecondsAfterTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Delay: time.Minute})
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		began := time.Now()
		run, err := newFleet(s).Run(ctx, script, addInstances(s, faultyInstance("i-1", silentAgent)), nil)
		if took := time.Since(began); err == nil || took.Round(100*time.Millisecond) != time.Second+2*time.Second {
			t.Errorf("after %s the error is %v", took, err)
		}
		wantOutcomes(t, run, "i-1 unknown NotSent")
	})
}

func TestRunSendsNothingAfterTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		ctx, cancel := context.WithCancelCause(t.Context())
		signal := errors.New("interrupt signal received")
		cancel(signal)
		run, err := newFleet(s).Run(ctx, script, addInstances(s, faultyInstance("i-1", silentAgent)), nil)
		if !errors.Is(err, signal) || len(s.Calls()) != 0 {
			t.Errorf("error is %v after %d calls", err, len(s.Calls()))
		}
		wantOutcomes(t, run, "i-1 not run NotSent")
	})
}
