package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/localaws/sample"
)

// The runner sends SIGINT, SIGTERM 7.5 s later, and kills 2.5 s after that:
// https://github.com/actions/runner/blob/main/src/Runner.Sdk/ProcessInvoker.cs
func TestACancelledRunCancelsTheCommandAndSaysSo(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			s := play(t)
			s.build("0.1.0-dev", sample.Env("SLEEP", "1m"))
			p := s.step()
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the job runs", func() bool { return s.greeting() != "" })
			sent := time.Now()
			if err := p.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			out := p.done()
			took := time.Since(sent)

			out.wants("cancelled")
			out.says("cancelled", "start the run again")
			cancels := s.calls(0, "ssm:CancelCommand")
			if len(cancels) != 1 || cancels[0].Status != 200 || !strings.Contains(out.outputs["command-ids"], cancels[0].Resource) {
				t.Fatalf("the cancels are %v of commands %s", cancels, out.outputs["command-ids"])
			}
			if wait := cancels[0].Time.Sub(sent); wait > 2*time.Second || took > 7*time.Second {
				t.Errorf("the command was cancelled after %s, the step ended after %s", wait, took)
			}
			if out.outputs["failed-instances"] != instanceID || s.tag("latest-dev") != "" {
				t.Errorf("failed-instances is %q, latest-dev is %q", out.outputs["failed-instances"], s.tag("latest-dev"))
			}
		})
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
