package e2e

import (
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The runner sends SIGINT, SIGTERM 7.5 s later, and kills 2.5 s after that:
// https://github.com/actions/runner/blob/main/src/Runner.Sdk/ProcessInvoker.cs
func TestCancelledRunCancelsItsCommand(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			s := play(t)
			p := s.busy()
			if err := p.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			out := p.done()

			out.wants("cancelled")
			out.says("signal received", "Start the run again")
			cancels := s.calls(0, "ssm:CancelCommand")
			if len(cancels) != 1 || cancels[0].Status != 200 || !strings.Contains(out.outputs["command-ids"], cancels[0].Resource) {
				t.Fatalf("the cancels are %v of commands %s", cancels, out.outputs["command-ids"])
			}
			if out.outputs["failed-instances"] != instanceID || s.tag("latest-dev") != "" {
				t.Errorf("failed-instances is %q, latest-dev is %q", out.outputs["failed-instances"], s.tag("latest-dev"))
			}
		})
	}
}

// busy is a step whose job has begun and will take a minute.
func (s *stage) busy(settings ...string) *step {
	s.t.Helper()
	s.build("0.1.0-dev", s.slow("0.1.0-dev"))
	p := s.step(settings...)
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the job runs", func() bool { return s.isStarted("0.1.0-dev") })
	return p
}

func TestKilledRunLeavesItsRecord(t *testing.T) {
	s := playWithScripts(t)
	p := s.busy()
	known := []string{"version", "deployment-id", "previous-version", "instance-count", "image-uri", "image-digest", "image-pushed", "bundle-uri", "bundle-sha256", "command-ids"}
	eventually(t, "every output that is known is written", func() bool { return len(readOutputs(t, p.outputs)) >= len(known) })
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(known)), slices.Sorted(maps.Keys(p.done().outputs))); diff != "" {
		t.Errorf("the outputs differ:\n%s", diff)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
