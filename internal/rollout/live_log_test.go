package rollout_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// loggingHost logs a line every ten seconds while it carries out a command with a live log.
type loggingHost struct {
	*simhost.Host
	lines []string
}

func (h loggingHost) RunLive(ctx context.Context, script string, env []string, stdout, stderr io.Writer) localaws.Exit {
	if strings.Contains(script, "--live-log=true") {
		for _, line := range h.lines {
			time.Sleep(10 * time.Second)
			_, _ = io.WriteString(stderr, line+"\n")
		}
	}
	exit := h.Run(ctx, script, env)
	_, _ = stdout.Write(exit.Stdout)
	return exit
}

// addLogging adds an instance that logs these lines, and makes the run show the log.
func (f *fixture) addLogging(id string, lines ...string) *simhost.Host {
	f.logGroup = "deploys"
	h := simhost.New("0.1.29-dev", digestOf("0.1.29-dev"))
	f.AddInstance(localaws.Instance{ID: id, Name: "name-of-" + id, Machine: loggingHost{h, lines}})
	return h
}

// countRequests counts the requests of one operation.
func (f *fixture) countRequests(operation string) (n int) {
	for _, call := range f.Calls() {
		if call.Operation == operation {
			n++
		}
	}
	return n
}

func TestLogOfASlowHostIsShownLineByLine(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addLogging("i-1", "o\x1bne\r", "::error::two", "three")
		f.addLogging("i-2")
		result, err := f.runPlan(f.plan("0.1.30-dev", "i-1", "i-2"))
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, "shown", f.console.untrusted, "i-1 | o ne ", "i-1 | ::error::two", "o ne \n::error::two\nthree")
		if titles := f.console.groups[len(f.console.groups)-2:]; !slices.Equal(titles, []string{"Log of i-1 (name-of-i-1): deployed", "Move tags"}) {
			t.Errorf("the groups are %q", f.console.groups)
		}
		if n := f.console.countLines("warning: "); n != 0 || states(result) != "i-1 deployed, i-2 deployed" {
			t.Errorf("%d warnings, %s", n, states(result))
		}
	})
}

func TestEndOfTheLogMayAppearSecondsLater(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.DelayLog(3 * time.Second)
		f.addLogging("i-1", "one", "two", "three")
		if _, err := f.runPlan(f.plan("0.1.30-dev", "i-1")); err != nil {
			t.Fatal(err)
		}
		if whole := f.console.untrusted[len(f.console.untrusted)-1]; whole != "one\ntwo\nthree" || f.console.countLines("warning: ") != 0 {
			t.Errorf("the whole log is %q", whole)
		}
	})
}

func TestLogOfAFailedHostIsShownOnce(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addLogging("i-1", "all is well")
		f.addLogging("i-2", "the disk is full").NextBehavior = unhealthy
		result, err := f.runPlan(f.plan("0.1.30-dev", "i-1", "i-2"))
		if err == nil || states(result) != "i-1 rolled-back, i-2 rolled-back" {
			t.Fatalf("%s: %v", states(result), err)
		}
		var texts []string
		for _, text := range f.console.untrusted {
			if !strings.Contains(text, " | ") {
				texts = append(texts, text)
			}
		}
		// Those of the wave, the failed one first, and that of the rollback.
		wantLines(t, "logs", texts, "the disk is full", "all is well", "all is well")
		if log := result.Hosts[1].Log; !strings.HasPrefix(log, "a line of its log") {
			t.Errorf("the end of the log for the summary is %q", log)
		}
	})
}

func TestDeployGoesOnWithoutItsLog(t *testing.T) {
	refused := &localaws.Error{Code: "AccessDeniedException", Message: "not authorized to perform: logs:FilterLogEvents"}
	for name, c := range map[string]struct {
		prepare func(*fixture)
		warning string
	}{
		"the role may not read": {func(f *fixture) { f.AddFault(localaws.Fault{Operation: "logs:FilterLogEvents", Error: refused}) }, "not authorized"},
		"requests are throttled": {func(f *fixture) {
			f.AddFault(localaws.Fault{Operation: "logs:FilterLogEvents", Error: &localaws.Error{Code: "ThrottlingException"}})
		}, "ThrottlingException"},
		"the instances may not write":  {func(f *fixture) { f.DenyLogGroup("deploys") }, "nothing has arrived in the log group deploys"},
		"the service does not respond": {func(f *fixture) { f.AddFault(localaws.Fault{Operation: "logs:FilterLogEvents", Delay: time.Hour}) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				f.addLogging("i-1", "one", "two")
				c.prepare(f)
				result, err := f.runPlan(f.plan("0.1.30-dev", "i-1"))
				if err != nil || states(result) != "i-1 deployed" {
					t.Fatalf("%s: %v", states(result), err)
				}
				warnings := f.console.countLines("warning: The live log is not complete")
				if c.warning != "" && (warnings != 1 || f.console.countLines(c.warning) != 1) {
					t.Errorf("%d warnings in\n%s", warnings, strings.Join(f.console.log, "\n"))
				}
				if late := result.Elapsed - 20*time.Second; late > 10*time.Second {
					t.Errorf("the run ended %s later", late)
				}
			})
		})
	}
}

func TestLiveLogIsBounded(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		long := strings.TrimSuffix(strings.Repeat(strings.Repeat("x", 1000)+"\n", 3000), "\n")
		f.addLogging("i-1", long, "the last line")
		if _, err := f.runPlan(f.plan("0.1.30-dev", "i-1")); err != nil {
			t.Fatal(err)
		}
		live, whole := f.console.untrusted[0], f.console.untrusted[1]
		if len(f.console.untrusted) != 2 || strings.Count(live, "\n") != 1999 || f.console.countLines("the live log ends here, after 2000 lines; the logs are in the log group deploys") != 1 {
			t.Errorf("%d texts, the first with %d lines", len(f.console.untrusted), strings.Count(live, "\n"))
		}
		if longest, _, _ := strings.Cut(live, "\n"); len(longest) > 700 {
			t.Errorf("a line has %d bytes", len(longest))
		}
		if len(whole) > 128<<10 || !strings.HasSuffix(whole, "\nthe last line") || f.console.countLines("lines are left out; they are in the log group deploys, in ") != 1 {
			t.Errorf("the whole log has %d bytes and ends with %.30q", len(whole), whole[len(whole)-30:])
		}
	})
}

func TestLogsOfManyHostsAreBounded(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		var ids []string
		for i := range 60 {
			ids = append(ids, fmt.Sprintf("i-%02d", i))
			h := f.addLogging(ids[i], "a line")
			if i == 59 {
				h.NextBehavior = unhealthy
			}
		}
		plan := f.plan("0.1.30-dev", ids...)
		plan.Rollout.RollbackOnFailure = "none"
		if _, err := f.runPlan(plan); err == nil {
			t.Fatal("an unhealthy host is a success")
		}
		var titles []string
		for _, title := range f.console.groups {
			if strings.HasPrefix(title, "Log of ") {
				titles = append(titles, title)
			}
		}
		if len(titles) != 50 || titles[0] != "Log of i-59 (name-of-i-59): rolled-back" || f.console.countLines("the logs of 10 instances more") != 1 {
			t.Errorf("%d logs, the first is %q", len(titles), titles[0])
		}
	})
}

func TestCancelledRunDoesNotWaitForItsLog(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addLogging("i-1", "one", "two", "three")
		ctx, cancel := context.WithCancel(t.Context())
		var cancelled time.Time
		time.AfterFunc(15*time.Second, func() {
			cancelled = time.Now()
			cancel()
		})
		result, err := rollout.Run(ctx, f.plan("0.1.30-dev", "i-1"), f, f.console)
		if err == nil || result.Status != rollout.OutcomeCancelled {
			t.Errorf("%s: %v", result.Status, err)
		}
		if late := time.Since(cancelled); late > 5*time.Second {
			t.Errorf("the run ended %s later", late)
		}
	})
}

func TestLogIsNotReadWithoutALogGroup(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addLogging("i-1", "one")
		f.logGroup = ""
		if _, err := f.runPlan(f.plan("0.1.30-dev", "i-1")); err != nil {
			t.Fatal(err)
		}
		if n := f.countRequests("logs:FilterLogEvents"); n != 0 || len(f.console.untrusted) != 0 {
			t.Errorf("%d requests, shown %q", n, f.console.untrusted)
		}
	})
}
