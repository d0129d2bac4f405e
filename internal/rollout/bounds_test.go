package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// countLines counts the lines of the log that contain text.
func (c *console) countLines(text string) (n int) {
	for _, line := range c.log {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func TestLogListsUpToAHundredInstances(t *testing.T) {
	for hosts, listed := range map[int]int{100: 100, 101: 0} {
		onFixture(t, func(t *testing.T, f *fixture) {
			ids, list := f.addHosts(hosts, "0.1.29-dev")
			list[2].NextBehavior = func(string) simhost.Behavior {
				return simhost.Behavior{Unhealthy: true, Duration: time.Second} // by when the others have begun
			}
			plan := f.plan("0.1.30-dev", ids...)
			plan.Rollout.RollbackOnFailure = "none"
			if _, err := f.runPlan(plan); err == nil {
				t.Fatal("the deploy succeeded")
			}
			if n := f.console.countLines(" runs 0.1.29-dev"); n != listed {
				t.Errorf("%d instances: %d are listed with what they run, want %d", hosts, n, listed)
			}
			if n := f.console.countLines(": deployed: "); n != max(listed-1, 0) {
				t.Errorf("%d instances: %d are listed as deployed, want %d", hosts, n, max(listed-1, 0))
			}
			if n := f.console.countLines(": rolled-back: "); n != 1 {
				t.Errorf("%d instances: %d are listed as rolled back", hosts, n)
			}
		})
	}
}

func TestErrorListsUpToTwentyProblems(t *testing.T) {
	for hosts, last := range map[int]string{20: "i-20", 25: "and 5 more"} {
		for name, instance := range map[string]localaws.Instance{
			"offline":         {PingStatus: "ConnectionLost"},
			"without report":  {},
			"a newer version": {Machine: simhost.New("1.0.0-dev", digestOf("1.0.0-dev"))},
		} {
			onFixture(t, func(t *testing.T, f *fixture) {
				var ids []string
				for i := range hosts {
					instance.ID = fmt.Sprintf("i-%02d", i+1)
					ids = append(ids, instance.ID)
					f.AddInstance(instance)
				}
				_, err := f.runPlan(f.plan("0.1.30-dev", ids...))
				if err == nil {
					t.Fatal("the deploy succeeded")
				}
				lines := strings.Split(err.Error(), "\n")
				named := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !strings.Contains(line, " i-") })
				if len(named) != 20 || !strings.Contains(lines[len(lines)-1], last) {
					t.Errorf("%d instances, %s: %d are named, and the last line is %q", hosts, name, len(named), lines[len(lines)-1])
				}
			})
		}
	}
}

func TestNewInstancesAreDeployedToInThreeRounds(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		var addNext func(n int)
		addNext = func(n int) {
			host := simhost.New("", "")
			host.NextBehavior = func(string) simhost.Behavior {
				if n < 12 {
					addNext(n + 1)
				}
				return simhost.Behavior{}
			}
			f.AddInstance(localaws.Instance{ID: fmt.Sprintf("i-%02d", n), Machine: host, Tags: map[string]string{"Environment": "dev"}})
		}
		addNext(1)
		plan := f.plan("0.1.30-dev")
		plan.Targets, plan.Rollout.RollbackOnFailure = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}, "none"
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "1 of 5 instances are not known to run the release", "instance i-05: not-deployed: new since the run began")
		if got := states(result); got != "i-01 deployed, i-02 deployed, i-03 deployed, i-04 deployed, i-05 not-deployed" {
			t.Error(got)
		}
	})
}

func TestNoticeOfAWrongClockNeedsMoreThanAMinute(t *testing.T) {
	for skew, noticed := range map[time.Duration]int{
		time.Minute: 0, -time.Minute: 0, time.Minute + time.Second: 1, -time.Minute - time.Second: 1,
	} {
		onFixture(t, func(t *testing.T, f *fixture) {
			f.addHost("i-1", "0.1.29-dev")
			f.skew = skew
			if _, err := f.runPlan(f.plan("0.1.30-dev", "i-1")); err != nil {
				t.Error(err)
			}
			if n := f.console.countLines("warning: This machine's clock is wrong"); n != noticed {
				t.Errorf("%s: %d notices", skew, n)
			}
		})
	}
}
