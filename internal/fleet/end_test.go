package fleet_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/localaws"
)

var dead = localaws.DeliveryFault{Status: "InProgress"}

func TestADeadAgentIsGivenUp(t *testing.T) {
	s := start(t, localaws.Options{})
	on := add(s, localaws.Instance{ID: "i-1", Machine: healthy}, answers("i-2", dead))
	began := time.Now()
	run, err := reach(s).Hurry(300*time.Millisecond-delivery-script.Timeout).Run(t.Context(), script, on, nil)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 300*time.Millisecond || took > 5*time.Second {
		t.Errorf("given up after %s", took)
	}
	wantOutcomes(t, run, "i-1 ran Success", "i-2 unknown InProgress")
	if want := "last seen as InProgress, then: no answer within the time limits of the command"; run.Results[1].Reason != want {
		t.Errorf("reason is %q", run.Results[1].Reason)
	}
}

func TestACommandIsCancelledWithTheRun(t *testing.T) {
	signal := errors.New("interrupt signal received")
	tests := map[string]func(context.Context) (context.Context, context.CancelFunc){
		"by a signal": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			timer := time.AfterFunc(200*time.Millisecond, func() { cancel(signal) })
			return ctx, func() { timer.Stop(); cancel(nil) }
		},
		"by its timeout": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, 200*time.Millisecond, signal)
		},
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, localaws.Options{})
			on := add(s, localaws.Instance{ID: "i-1", Machine: healthy}, answers("i-2", dead))
			ctx, stop := end(t.Context())
			defer stop()
			run, err := reach(s).Run(ctx, script, on, nil)
			if !errors.Is(err, signal) || !strings.Contains(err.Error(), id(run)) {
				t.Errorf("error is %v", err)
			}
			cancelled := calls(s, "ssm:CancelCommand")
			if len(cancelled) != 1 || cancelled[0].Resource != id(run) || cancelled[0].Status != 200 {
				t.Errorf("cancelled %+v", cancelled)
			}
			wantOutcomes(t, run, "i-1 ran Success", "i-2 unknown InProgress")
			if !strings.Contains(run.Results[1].Reason, signal.Error()) {
				t.Errorf("reason is %q", run.Results[1].Reason)
			}
		})
	}
}

func TestACancelThatHangsIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	s := start(t, localaws.Options{})
	s.AddFault(localaws.Fault{Operation: "ssm:CancelCommand", Delay: time.Minute})
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	began := time.Now()
	_, err := reach(s).Run(ctx, script, add(s, answers("i-1", dead)), nil)
	if took := time.Since(began); took > 6*time.Second || err == nil || !strings.Contains(err.Error(), "cancel command") {
		t.Errorf("after %s the error is %v", took, err)
	}
}

func TestOnlyARefusedCommandIsKnownNotToHaveRun(t *testing.T) {
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
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, localaws.Options{})
			test.fault.Operation = "ssm:SendCommand"
			s.AddFault(test.fault)
			run, err := reach(s).Run(t.Context(), script, add(s, localaws.Instance{ID: "i-1", Machine: healthy}), nil)
			if err == nil || !strings.HasPrefix(err.Error(), "send command: ") || id(run) != "" {
				t.Errorf("error about %q is %v", id(run), err)
			}
			wantOutcomes(t, run, test.want)
			if run.Results[0].Reason == "" {
				t.Error("no reason is given")
			}
		})
	}
}

func TestACommandOnItsWayWhenTheRunEndsIsStillCancelled(t *testing.T) {
	t.Parallel()
	s := start(t, localaws.Options{})
	s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Delay: 200 * time.Millisecond})
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	run, err := reach(s).Run(ctx, script, add(s, answers("i-1", dead)), nil)
	if !errors.Is(err, context.DeadlineExceeded) || id(run) == "" {
		t.Fatalf("error about %q is %v", id(run), err)
	}
	if cancelled := calls(s, "ssm:CancelCommand"); len(cancelled) != 1 || cancelled[0].Resource != id(run) {
		t.Errorf("cancelled %+v", cancelled)
	}
}

func TestASendThatHangsIsGivenUpAfterTheRun(t *testing.T) {
	t.Parallel()
	s := start(t, localaws.Options{})
	s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Delay: time.Minute})
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	began := time.Now()
	run, err := reach(s).Run(ctx, script, add(s, answers("i-1", dead)), nil)
	if took := time.Since(began); err == nil || took > 5*time.Second {
		t.Errorf("after %s the error is %v", took, err)
	}
	wantOutcomes(t, run, "i-1 unknown NotSent")
}

func TestNothingIsSentAfterTheEndOfTheRun(t *testing.T) {
	s := start(t, localaws.Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	signal := errors.New("interrupt signal received")
	cancel(signal)
	run, err := reach(s).Run(ctx, script, add(s, answers("i-1", dead)), nil)
	if !errors.Is(err, signal) || len(s.Calls()) != 0 {
		t.Errorf("error is %v after %d calls", err, len(s.Calls()))
	}
	wantOutcomes(t, run, "i-1 not run NotSent")
}
