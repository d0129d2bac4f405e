package rollout_test

import (
	"strings"
	"testing"
)

func TestResultHasTheTimesOfStepsAndHosts(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev")
		f.addHost("i-2", "0.1.29-dev").NextBehavior = unhealthy
		result, err := f.runPlan(f.plan("0.1.30-dev", "i-1", "i-2"))
		if err == nil {
			t.Fatal("the run is a success")
		}
		var titles []string
		for i, step := range result.Steps {
			titles = append(titles, step.Title)
			if i > 0 && step.Began.Before(result.Steps[i-1].Ended) || step.Ended.Before(step.Began) || step.Failed != (step.Title == "Roll out") {
				t.Errorf("step %+v", step)
			}
		}
		if got := strings.Join(titles, ", "); got != "Read, Preflight, Push image, Upload bundle, Check: 2 instances, Roll out, Roll back: 1 instance" {
			t.Errorf("the steps are %s", got)
		}
		for _, host := range result.Hosts {
			if host.CommandID == "" || host.Sent.IsZero() || host.Ended.Before(host.Sent) {
				t.Errorf("%s: command %q from %s to %s", host.ID, host.CommandID, host.Sent, host.Ended)
			}
		}
	})
}

func TestCommitOfTheImageIsRecordedWithTheRelease(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "")
		first := f.plan("0.1.30-dev", "i-1")
		first.Commit = "c0ffee"
		if _, err := f.runPlan(first); err != nil {
			t.Fatal(err)
		}
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || current.Commit != "c0ffee" {
			t.Errorf("the commit is %q: %v", current.Commit, err)
		}
		if _, err := f.runPlan(f.plan("0.1.31-dev", "i-1")); err != nil {
			t.Fatal(err)
		}
		back := f.rollbackPlan("0.1.30-dev", "i-1")
		back.Commit = "of the workflow"
		if _, err := f.runPlan(back); err != nil {
			t.Fatal(err)
		}
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || current.Version != "0.1.30-dev" || current.Commit != "" {
			t.Errorf("after a rollback to %s the commit is %q: %v", current.Version, current.Commit, err)
		}
	})
}
