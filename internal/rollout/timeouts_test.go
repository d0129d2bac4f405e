package rollout_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// addDisappearing adds an instance that loses its connection with its answer to a deploy. It
// is back after a while; 0: never.
func (f *fixture) addDisappearing(id string, back time.Duration) *simhost.Host {
	host := simhost.New("0.1.29-dev", digestOf("0.1.29-dev"))
	online := localaws.Instance{ID: id, Machine: host}
	online.InjectFault = func(i localaws.Invocation) *localaws.DeliveryFault {
		if !strings.Contains(i.Script, "\nset -- deploy ") {
			return nil
		}
		f.AddInstance(localaws.Instance{ID: id, PingStatus: "ConnectionLost"})
		if back > 0 {
			time.AfterFunc(back, func() { f.AddInstance(online) })
		}
		return &localaws.DeliveryFault{Status: "DeliveryTimedOut", Code: -1, Runs: 1}
	}
	f.AddInstance(online)
	return host
}

func TestUnknownHostIsAskedEveryFiveSecondsForTwoMinutes(t *testing.T) {
	for back, state := range map[time.Duration]rollout.State{0: rollout.Unknown, 110 * time.Second: rollout.Deployed} {
		onFixture(t, func(t *testing.T, f *fixture) {
			f.addDisappearing("i-1", back)
			result, err := f.runPlan(f.plan("0.1.30-dev", "i-1"))
			if states(result) != "i-1 "+string(state) || (err == nil) != (state == rollout.Deployed) {
				t.Errorf("back after %s: %s, %v", back, states(result), err)
			}
			if result.Elapsed < 110*time.Second || result.Elapsed > 130*time.Second {
				t.Errorf("back after %s: the run took %s", back, result.Elapsed)
			}
			var lookups []time.Time
			for _, call := range f.Calls() {
				if call.Operation == "ssm:DescribeInstanceInformation" {
					lookups = append(lookups, call.Time)
				}
			}
			for i := 2; i < len(lookups); i++ { // the first one is that of the preflight
				if pause := lookups[i].Sub(lookups[i-1]); pause.Round(time.Second) != 5*time.Second {
					t.Errorf("back after %s: asked again after %s", back, pause)
				}
			}
		})
	}
}

func TestHostThatIsAskedAgainReportsItsLog(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addDisappearing("i-1", 20*time.Second).NextBehavior = unhealthy
		result, err := f.runPlan(f.plan("0.1.30-dev", "i-1"))
		if err == nil || states(result) != "i-1 rolled-back" || result.Hosts[0].Log != "a line of its log\n" {
			t.Errorf("%s, %q: %v", states(result), result.Hosts[0].Log, err)
		}
		wantLines(t, "shown", f.console.untrusted, "a line of its log\n")
	})
}

func TestHostHasAMinuteToReportItsStatus(t *testing.T) {
	for delay, answers := range map[time.Duration]bool{50 * time.Second: true, 70 * time.Second: false} {
		onFixture(t, func(t *testing.T, f *fixture) {
			f.addHost("i-1", "0.1.29-dev").StatusDelay = delay
			_, err := f.runPlan(f.plan("0.1.30-dev", "i-1"))
			if answers && err != nil {
				t.Errorf("a status after %s: %v", delay, err)
			}
			if !answers {
				wantErrorParts(t, err, "instance i-1 cannot report what it runs")
			}
		})
	}
}

// Each of the two requests reads an object and writes it.
func TestEndOfARunIsRecordedWithinTenSeconds(t *testing.T) {
	for _, object := range []struct{ name, notice string }{
		{"/history/", "The run is not in the history: "}, {"/lock.json", "The deploy lock was not released: "},
	} {
		for delay, notices := range map[time.Duration]int{4 * time.Second: 0, 6 * time.Second: 1} {
			onFixture(t, func(t *testing.T, f *fixture) {
				f.addHost("i-1", "0.1.29-dev")
				for _, operation := range []string{"s3:GetObject", "s3:PutObject"} {
					f.AddFault(localaws.Fault{Operation: operation, Resource: object.name, Delay: delay})
				}
				if result, err := f.runPlan(f.plan("0.1.30-dev", "i-1")); err != nil || result.Status != rollout.OutcomeSuccess {
					t.Errorf("%s: %v", result.Status, err)
				}
				if n := f.console.countLines(object.notice); n != notices {
					t.Errorf("%s with a delay of %s: %d notices", object.name, delay, n)
				}
				if finished := f.console.saved["finished"] == "true"; finished != (notices == 0) {
					t.Errorf("%s with a delay of %s: finished is %t", object.name, delay, finished)
				}
			})
		}
	}
}

func TestCancelledRunSpendsASecondOnEachOfItsLastRequests(t *testing.T) {
	for delay, recorded := range map[time.Duration]bool{400 * time.Millisecond: true, time.Hour: false} {
		onFixture(t, func(t *testing.T, f *fixture) {
			started := make(chan struct{})
			f.addHost("i-1", "0.1.29-dev").NextBehavior = neverEnding(started)
			ctx, cancel := context.WithCancel(t.Context())
			var cancelledAt time.Time
			go func() {
				<-started
				for _, operation := range []string{"s3:GetObject", "s3:PutObject"} {
					f.AddFault(localaws.Fault{Operation: operation, Delay: delay})
				}
				cancelledAt = time.Now()
				cancel()
			}()
			result, err := rollout.Run(ctx, f.plan("0.1.30-dev", "i-1"), f, f.console)
			if err == nil || result.Status != rollout.OutcomeCancelled {
				t.Fatalf("%s: %v", result.Status, err)
			}
			if took := time.Since(cancelledAt); took > 2500*time.Millisecond {
				t.Errorf("with a delay of %s the run ended %s after the cancel", delay, took)
			}
			f.ClearFaults()
			var record rollout.Record
			if _, err := f.locks.ReadRecord(t.Context(), "d-0-1-30-dev", &record); err != nil || (record.Status == rollout.OutcomeCancelled) != recorded {
				t.Errorf("with a delay of %s the record is %s, %v", delay, record.Status, err)
			}
			held, err := f.locks.CurrentHolder(t.Context())
			if free := held == nil; err != nil || free != recorded {
				t.Errorf("with a delay of %s the lock: %s", delay, fmt.Sprint(held, err))
			}
		})
	}
}
