package rollout

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
)

// The report of what a deployment came to is old by the time a host is asked for it: the host may have been
// rolled back at its boot, which waits for no service.
func TestALostAnswerIsReplacedOnlyByWhatRuns(t *testing.T) {
	for name, test := range map[string]struct {
		about, version string
		evidence       deploy.Evidence
		drift          []string
		wasDown        bool
		state          State
		message        string
	}{
		"it runs":                          {"deployed:0", "0.1.30-dev", "running", nil, false, Deployed, "it runs 0.1.30-dev"},
		"it has ended since":               {"deployed:0", "0.1.30-dev", "succeeded", []string{"inactive"}, false, Unknown, "has 0.1.30-dev, and differs in inactive"},
		"it is started again and again":    {"deployed:0", "0.1.30-dev", "running", []string{"restarts"}, false, Unknown, "has 0.1.30-dev, and differs in restarts"},
		"its timer was stopped":            {"deployed:0", "0.1.30-dev", "running", []string{"timer"}, false, Deployed, "it runs 0.1.30-dev"},
		"rolled back":                      {"rolled-back:30", "0.1.29-dev", "running", nil, false, RolledBack, "rolled back, and runs 0.1.29-dev"},
		"rolled back to what is down":      {"rolled-back:30", "0.1.29-dev", "none", []string{"inactive"}, false, Unknown, "rolled back, has 0.1.29-dev, and differs in inactive"},
		"rolled back to what was down":     {"rolled-back:30", "0.1.29-dev", "none", []string{"inactive"}, true, RolledBack, "rolled back, and has 0.1.29-dev, which was down before"},
		"back to what the run brought":     {"rolled-back:40", "0.1.30-dev", "none", []string{"inactive"}, true, Unknown, "rolled back, has 0.1.30-dev, and differs in inactive"},
		"rolled back to nothing":           {"rolled-back:30", "", "", nil, false, RolledBack, "rolled back, and runs nothing"},
		"rolled back, an engine is silent": {"rolled-back:30", "0.1.29-dev", "", []string{"engine"}, false, Unknown, "differs in engine"},
	} {
		t.Run(name, func(t *testing.T) {
			host := Host{State: Unknown, Before: "0.1.29-dev", wasDown: test.wasDown}
			host.applyStatus(wanted, successAnswer(func(a *answer) {
				a.report.About, a.report.Version, a.report.Evidence, a.report.Drift = test.about, test.version, test.evidence, test.drift
			}).report)
			if host.State != test.state || !strings.Contains(host.Message, test.message) {
				t.Errorf("%s: %s", host.State, host.Message)
			}
		})
	}
}

// A pull or a login may hang until the command's time is over: https://github.com/moby/moby/issues/42312,
// https://github.com/buildkite-plugins/ecr-buildkite-plugin/issues/66
// The record of a run, which the post step reads, does not say how its command ended in SSM.
func TestCaseACommandWhoseTimeWasOverBeforeAChange(t *testing.T) {
	for status, command := range map[fleet.Status]string{fleet.StatusExecutionTimedOut: "the command (ExecutionTimedOut in SSM)", "": "the command"} {
		host := Host{State: Unknown, Before: "0.1.29-dev", Status: status}
		host.applyStatus(wanted, successAnswer(func(a *answer) {
			a.report.About, a.report.Version = deploy.AboutBegun, "0.1.29-dev"
		}).report)
		if want := command + " reached it and ended before it changed anything; it runs 0.1.29-dev"; host.State != NotDeployed || host.Message != want {
			t.Errorf("%s: %s", host.State, host.Message)
		}
	}
}

// What a deploy that is at work brings, or takes back, is not what runs.
func TestWhatABusyHostRunsIsNotKnown(t *testing.T) {
	for name, ask := range map[string]func(*Host, *deploy.Report){
		"a lost answer":      func(h *Host, report *deploy.Report) { h.applyStatus(wanted, report) },
		"of an earlier wave": (*Host).applyRecheck,
	} {
		t.Run(name, func(t *testing.T) {
			host := Host{State: Unknown, Before: "0.1.29-dev", Report: successAnswer(func(*answer) {}).report}
			report := successAnswer(func(a *answer) { a.report.About, a.report.Busy = deploy.AboutUnderWay, true }).report
			ask(&host, report)
			if host.State != Unknown || !host.IsSilent() || host.Runs() != "" {
				t.Errorf("%s: %s, and is said to run %q", host.State, host.Message, host.Runs())
			}
			done := *report
			done.Busy, done.About = false, "deployed:0"
			if ask(&host, &done); host.State != Deployed || host.Runs() != "0.1.30-dev" {
				t.Errorf("%s: %s, and is said to run %q", host.State, host.Message, host.Runs())
			}
		})
	}
}
