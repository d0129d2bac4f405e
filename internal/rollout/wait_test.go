package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/localaws/simhost"
)

// waits returns the lines that say what the run waits for.
func (c *console) waits() (lines []string) {
	for _, line := range c.log {
		if strings.HasPrefix(line, "waiting for ") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestLongWaitForInstancesSaysForWhichAndUntilWhen(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev")
		for _, id := range []string{"i-2", "i-3"} {
			f.addHost(id, "0.1.29-dev").NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Duration: 100 * time.Second} }
		}
		plan := f.plan("0.1.30-dev", "i-1", "i-2", "i-3")
		plan.Time.Delivery = time.Minute
		if _, err := f.runPlan(plan); err != nil {
			t.Fatal(err)
		}
		// Delivery, two minutes for the command, and the grace; the run began at midnight.
		waits := f.console.waits()
		for _, wait := range waits {
			if !strings.HasPrefix(wait, "waiting for i-2 (name-of-i-2), i-3 (name-of-i-3) (2 InProgress, 1 Success), until 00:03:3") {
				t.Error(wait)
			}
		}
		if len(waits) != 3 {
			t.Errorf("waits are %q", waits)
		}
	})
}

func TestLongWaitForTheLockSaysUntilWhen(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev")
		other := f.holdLock()
		time.AfterFunc(70*time.Second, func() { _ = other.Release(t.Context()) })
		plan := f.plan("0.1.30-dev", "i-1")
		plan.Time.Lock = 90 * time.Second
		if _, err := f.runPlan(plan); err != nil {
			t.Fatal(err)
		}
		waits := f.console.waits()
		if len(waits) != 3 || !strings.Contains(waits[0], "until 00:01:30 UTC: the lock is held by deployment the-other") {
			t.Fatalf("waits are %q", waits)
		}
		wantLines(t, "waits", waits[1:], "waiting for the deploy lock, until 00:01:30 UTC at the latest", "waiting for the deploy lock, until 00:01:30 UTC at the latest")
	})
}

// The run itself may end before a wait would.
func TestWaitEndsWithTheRun(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev").NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Duration: 50 * time.Second} }
		plan := f.plan("0.1.30-dev", "i-1")
		plan.Deadline = time.Now().Add(80 * time.Second)
		if _, err := f.runPlan(plan); err != nil {
			t.Fatal(err)
		}
		wantLines(t, "waits", f.console.waits(), "waiting for i-1 (name-of-i-1) (1 InProgress), until 00:01:20 UTC at the latest")
	})
}
