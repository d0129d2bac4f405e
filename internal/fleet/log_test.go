package fleet_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/localaws"
)

// slowMachine logs each of its lines after a pause, and then answers.
type slowMachine struct {
	lines []string
	pause time.Duration
}

func (m slowMachine) Run(ctx context.Context, script string, env []string) localaws.Exit {
	return m.RunLive(ctx, script, env, io.Discard, io.Discard)
}

func (m slowMachine) RunLive(_ context.Context, _ string, _ []string, stdout, stderr io.Writer) localaws.Exit {
	var log bytes.Buffer
	for _, line := range m.lines {
		time.Sleep(m.pause)
		_, _ = io.WriteString(io.MultiWriter(&log, stderr), line+"\n")
	}
	_, _ = io.WriteString(stdout, reportLine)
	return localaws.Exit{Stdout: []byte(reportLine), Stderr: log.Bytes()}
}

func newLog(s *localaws.Server) *fleet.Log {
	config := s.Config()
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return fleet.NewLog(cloudwatchlogs.NewFromConfig(config), "deploys")
}

// readTexts returns what each instance has logged in a command.
func readTexts(t *testing.T, log *fleet.Log, command string, since time.Time) map[string]string {
	t.Helper()
	events, err := log.Read(t.Context(), command, since)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, event := range events {
		if event.ID == "" || event.Time.IsZero() {
			t.Errorf("incomplete event %+v", event)
		}
		if event.Stdout {
			if strings.TrimSuffix(event.Text, "\n")+"\n" != reportLine {
				t.Errorf("stdout is %q", event.Text)
			}
			continue
		}
		texts[event.Instance] += strings.TrimSuffix(event.Text, "\n") + "|"
	}
	return texts
}

func TestLogIsReadWhileTheScriptRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		on := addInstances(s,
			localaws.Instance{ID: "i-1", Machine: slowMachine{[]string{"one", "two", "three"}, 10 * time.Second}},
			localaws.Instance{ID: "i-2", Machine: fixedMachine{stdout: reportLine, stderr: "at the end"}})
		log := newLog(s)
		ids := make(chan string, 1)
		go func() {
			command := script
			command.LogGroup = log.Group()
			run, err := newFleet(s).Run(t.Context(), command, on, func(commands []string, _ fleet.States, _ []fleet.Result) {
				select {
				case ids <- commands[0]:
				default:
				}
			})
			if err != nil {
				t.Error(err)
			}
			wantOutcomes(t, run, "i-1 ran Success", "i-2 ran Success")
		}()
		command := <-ids
		time.Sleep(9 * time.Second)
		if diff := cmp.Diff(map[string]string{"i-2": "at the end|"}, readTexts(t, log, command, time.Time{})); diff != "" {
			t.Error(diff)
		}
		time.Sleep(14 * time.Second) // 23 s: the second line is there, and the third is not written
		middle := time.Now().Add(-5 * time.Second)
		if diff := cmp.Diff("one|two|", readTexts(t, log, command, time.Time{})["i-1"]); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]string{"i-1": "two|"}, readTexts(t, log, command, middle)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff("one|two|three|", readTexts(t, log, command, time.Time{})["i-1"]); diff != "" {
			t.Error(diff)
		}
		if texts := readTexts(t, log, strings.ReplaceAll(command, "-", "0"), time.Time{}); len(texts) > 0 {
			t.Errorf("another command has %v", texts)
		}
	})
}

func TestLogWithoutAGroupIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		if texts := readTexts(t, newLog(s), "a-command", time.Time{}); len(texts) > 0 {
			t.Errorf("got %v", texts)
		}
		s.AddFault(localaws.Fault{Operation: "logs:FilterLogEvents", Error: &localaws.Error{Code: "AccessDeniedException", Message: "no"}})
		if _, err := newLog(s).Read(t.Context(), "a-command", time.Time{}); err == nil || !strings.Contains(err.Error(), "read log group deploys") {
			t.Errorf("the error is %v", err)
		}
	})
}

// A role that may not create the group writes nothing, and the command runs all the same.
func TestInstanceThatMayNotLogRunsTheCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.DenyLogGroup("deploys")
		command := script
		command.LogGroup = "deploys"
		run, err := newFleet(s).Run(t.Context(), command, addInstances(s, localaws.Instance{ID: "i-1", Machine: healthyMachine}), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, run, "i-1 ran Success")
		if texts := readTexts(t, newLog(s), onlyCommandID(run), time.Time{}); len(texts) > 0 {
			t.Errorf("got %v", texts)
		}
	})
}

func TestLongLogIsReadInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{LogDelay: -1})
		line := strings.Repeat("x", 100_000)
		var lines []string
		for range 30 {
			lines = append(lines, line)
		}
		command := script
		command.LogGroup = "deploys"
		run, err := newFleet(s).Run(t.Context(), command, addInstances(s, localaws.Instance{ID: "i-1", Machine: slowMachine{lines, time.Second}}), nil)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(readTexts(t, newLog(s), onlyCommandID(run), time.Time{})["i-1"]); n < 30*len(line) {
			t.Errorf("read %d characters", n)
		}
		if n := len(callsOf(s, "logs:FilterLogEvents")); n < 3 {
			t.Errorf("read %d pages", n)
		}
	})
}

func TestWholeOutputIsReadAfterASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		command := script
		command.WantsLog = true
		long := reportLine + strings.Repeat("x", 5000)
		run, err := newFleet(s).Run(t.Context(), command, addInstances(s, localaws.Instance{ID: "i-1", Machine: fixedMachine{stdout: long}}), nil)
		if err != nil || run.Results[0].Stdout != long {
			t.Errorf("%v, and %d of %d characters", err, len(run.Results[0].Stdout), len(long))
		}
	})
}
